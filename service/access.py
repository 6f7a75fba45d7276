"""Who may do what, and how often: API keys, their scopes and quotas, and the web sites that may call.

All of it is off by default. The file of keys (LIKENESS_API_KEYS, a mounted secret) has one entry a key:

    [[key]]
    id = "studio"                            # stands in logs, and is whose turn it is in the queue
    sha256 = "9f86d081884c7d65..."           # of the key, which nobody but its owner has
    scopes = ["translate", "verify"]
    requests_per_second = 5                  # optional, as are
    burst = 20                               # requests at once after a pause; default: those of one second
    concurrency = 4                          # requests in work

`likeness keys new` makes a key and its entry. A key is 256 random bits, so a fast hash hides it: there is no dictionary
to try, and 2^256 keys are too many at any speed. A slow hash is for passwords; here it would be work that strangers
could ask for.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

import structlog
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from service.errors import Forbidden, QuotaExceeded, Unauthenticated
from service.quota import Quota
from service.settings import Settings

ERRORS = (Unauthenticated, Forbidden, QuotaExceeded)

_HEADERS = (
    "Authorization",
    "Content-Type",
    "traceparent",
    "tracestate",
    "X-API-Key",
    "X-Request-ID",
    "X-Request-Timeout",
)


class Scope(StrEnum):
    """What a client may do."""

    TRANSLATE = "translate"
    VERIFY = "verify"
    ADMIN = "admin"
    METRICS = "metrics"


@dataclass(frozen=True)
class Client:
    """Who sent a request; requests of one id share their turn in the queue."""

    id: str
    scopes: frozenset[Scope]


ANONYMOUS = Client("anonymous", frozenset({Scope.TRANSLATE, Scope.VERIFY}))


class _Entry(BaseModel):
    # An input could be a key that was pasted into the wrong place, so no error may quote it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Key(_Entry):
    """An entry of the file of keys."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    burst: Annotated[int, Field(ge=1)] | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _burst_of_a_rate(self) -> Self:
        if self.burst is not None and self.requests_per_second is None:
            raise ValueError("burst without requests_per_second")
        return self


class _KeyFile(_Entry):
    key: Annotated[tuple[Key, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [key.id for key in self.key]
        if len(set(ids)) < len(ids) or len({key.sha256 for key in self.key}) < len(ids):
            raise ValueError("two entries with the same id or the same key")
        if ANONYMOUS.id in ids:
            raise ValueError(f"the id {ANONYMOUS.id} is taken")
        return self


def read_keys(path: Path) -> tuple[Key, ...]:
    """The entries of a file of keys; ValueError says what is wrong with it, without quoting it."""
    try:
        return _KeyFile.model_validate(tomllib.loads(path.read_text("utf-8"))).key
    except ValueError as error:
        raise ValueError(f"{path} is no file of keys: {error}") from None


def new_key(id: str, scopes: Iterable[Scope]) -> tuple[str, str]:
    """A new key, and its entry for the file of keys. ValueError for an id or scopes that no entry can have."""
    key = f"lk_{secrets.token_urlsafe(32)}"
    entry = Key(id=id, sha256=_sha256(key), scopes=frozenset(scopes))
    scope_list = json.dumps(sorted(entry.scopes))
    return key, f'[[key]]\nid = "{entry.id}"\nsha256 = "{entry.sha256}"\nscopes = {scope_list}\n'


class Access:
    """The keys of one application; without keys everyone is anonymous."""

    def __init__(self, keys: Sequence[Key] = ()) -> None:
        self._clients = [(key.sha256, Client(key.id, key.scopes)) for key in keys]
        self._quotas = {
            key.id: Quota(key.requests_per_second, key.burst, key.concurrency)
            for key in keys
            if key.requests_per_second or key.concurrency
        }

    @property
    def by_key(self) -> bool:
        """Whether a client needs a key."""
        return bool(self._clients)

    def client(self, headers: Headers) -> Client:
        """Who sends these headers; Unauthenticated where keys are asked for and there is no valid one."""
        if not self.by_key:
            return ANONYMOUS
        given = _given_key(headers)
        if given is None:
            raise Unauthenticated("send an API key as Authorization: Bearer or as X-API-Key")
        digest = _sha256(given)
        # Every entry is compared, in constant time, so that the time says nothing about how close a guess was.
        matches = [client for known, client in self._clients if hmac.compare_digest(known, digest)]
        if not matches:
            raise Unauthenticated("the API key is not known")
        return matches[0]

    def quota(self, client: Client) -> Quota | None:
        """The quota of a client, None if it has no limits."""
        return self._quotas.get(client.id)


def identified(request: Request, scope: Scope | None = None) -> Client:
    """The client of a request, also as request.state.client, which may do what needs `scope` (None: needs no scope).

    Reads nothing of the body. Raises Unauthenticated and Forbidden.
    """
    access: Access = request.app.state.access
    client = access.client(request.headers)
    request.state.client, request.state.quota = client, access.quota(client)
    if access.by_key:
        structlog.contextvars.bind_contextvars(client=client.id)
    if scope is not None and scope not in client.scopes:
        raise Forbidden(f"this needs the scope {scope}, which {client.id} does not have")
    return client


@contextmanager
def admitted(request: Request, scope: Scope | None) -> Iterator[Client]:
    """As `identified`, with a request of the client's quota, in work until the block ends. Raises QuotaExceeded too."""
    client = identified(request, scope)
    quota: Quota | None = request.state.quota
    if quota is None:
        yield client
        return
    with quota.admitted():
        yield client


def charge(request: Request, tokens: int) -> None:
    """Count `tokens` more for an admitted request that holds more than one picture; later requests wait for them."""
    quota: Quota | None = request.state.quota
    if quota is not None:
        quota.charge(tokens)


def install(app: FastAPI, settings: Settings) -> None:
    """Give `app` its keys and its web sites. To be called last: preflights and errors need the outermost layer."""
    app.state.access = access = Access(read_keys(settings.api_keys) if settings.api_keys else ())
    if access.by_key:
        app.add_middleware(_QuotaHeaders)
        _document(app)
    if settings.cors_origins:
        # A web site sends a key in a header if it has one. Cookies mean nothing here, so credentials are never allowed,
        # and with none of them `*` stands for every header of the answer.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=_HEADERS,
            expose_headers=("*",),
        )


class _QuotaHeaders:
    """Pure ASGI middleware: RateLimit headers on every answer to a client with a quota, a refusal included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        if connection["type"] != "http":
            await self._app(connection, receive, send)
            return
        state = connection.setdefault("state", {})

        async def labelled_send(message: Message) -> None:
            quota: Quota | None = state.get("quota")
            if message["type"] == "http.response.start" and quota is not None:
                MutableHeaders(scope=message).update(quota.headers)
            await send(message)

        await self._app(connection, receive, labelled_send)


def _document(app: FastAPI) -> None:
    """Say in OpenAPI how to send a key, wherever one can be missing; /docs then offers to."""
    plain = app.openapi

    def with_keys() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {})["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        for operations in document["paths"].values():
            for operation in operations.values():
                if "401" in operation["responses"]:
                    operation["security"] = [{"bearer": []}, {"header": []}]
        return document

    app.openapi = with_keys  # type: ignore[method-assign]


def _given_key(headers: Headers) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
