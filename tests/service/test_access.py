"""service.access: who has no key, or not this right, or too many requests, is refused before its body is read."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import ValidationError
from typer.testing import CliRunner

from service import access, cli, openapi, problems
from service.access import ANONYMOUS, Key, Scope, new_key, read_keys
from service.settings import Settings
from service.telemetry import RequestTelemetry, Telemetry

STUDIO, STUDIO_ENTRY = new_key("studio", [Scope.TRANSLATE, Scope.VERIFY])
LIMITED, LIMITED_ENTRY = new_key("limited", [Scope.TRANSLATE])
LIMITED_ENTRY += "requests_per_second = 0.001\nburst = 2\nconcurrency = 1\n"
OPERATOR, OPERATOR_ENTRY = new_key("operator", [Scope.ADMIN, Scope.METRICS])


def application(settings: Settings) -> FastAPI:
    """The smallest application with the service's errors, telemetry and access."""
    app = FastAPI()
    app.state.telemetry = Telemetry()

    @app.post("/translate", responses=openapi.problems(access.ERRORS))
    async def translate(request: Request) -> dict[str, Any]:
        with access.admitted(request, Scope.TRANSLATE) as client:
            body = await request.body()
            assert request.state.client is client
            bound = structlog.contextvars.get_contextvars().get("client")
            return {"id": client.id, "scopes": sorted(client.scopes), "bytes": len(body), "bound": bound}

    @app.post("/batch")
    async def batch(request: Request) -> None:
        with access.admitted(request, Scope.TRANSLATE):
            access.charge(request, 9)

    @app.post("/unload")
    async def unload(request: Request) -> str:
        return access.identified(request, Scope.ADMIN).id

    @app.get("/models")
    async def models(request: Request) -> str:
        return access.identified(request).id

    @app.get("/livez")
    async def livez() -> str:
        return "ok"

    problems.install(app)
    app.add_middleware(RequestTelemetry, telemetry=app.state.telemetry)
    access.install(app, settings)
    return app


def bearer(key: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(name="keys")
def keys_(tmp_path: Path) -> Path:
    """A file with three keys."""
    path = tmp_path / "keys.toml"
    path.write_text(STUDIO_ENTRY + LIMITED_ENTRY + OPERATOR_ENTRY)
    return path


@pytest.fixture(name="locked")
def locked_(keys: Path) -> Iterator[TestClient]:
    """A client of an application with keys."""
    with TestClient(application(Settings(api_keys=keys))) as client:
        yield client


@pytest.fixture(name="open_")
def open__() -> Iterator[TestClient]:
    """A client of an application as it is by default."""
    with TestClient(application(Settings())) as client:
        yield client


def test_by_default_everyone_is_anonymous_and_nobody_admin(open_: TestClient) -> None:
    """Without keys /translate is open, whatever key is sent; what needs the scope admin is not."""
    for headers in ({}, bearer("anything")):
        answer = open_.post("/translate", content=b"123", headers=headers)
        assert answer.json() == {"id": "anonymous", "scopes": ["translate", "verify"], "bytes": 3, "bound": None}
        assert not {"ratelimit", "ratelimit-policy", "access-control-allow-origin"} & set(answer.headers)
    refused = open_.post("/unload")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert ANONYMOUS.scopes == {Scope.TRANSLATE, Scope.VERIFY}


@pytest.mark.parametrize("headers", [bearer(STUDIO), {"X-API-Key": STUDIO}, {"Authorization": f"bearer  {STUDIO} "}])
def test_a_key_names_its_client(locked: TestClient, headers: dict[str, str]) -> None:
    """Either header gives the client, to the handler, to request.state and to the log's context."""
    answer = locked.post("/translate", headers=headers)
    assert answer.json() == {"id": "studio", "scopes": ["translate", "verify"], "bytes": 0, "bound": "studio"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("wrong"),
        bearer(STUDIO[:-1]),
        bearer(STUDIO + "A"),
        bearer(hashlib.sha256(STUDIO.encode()).hexdigest()),
        {"X-API-Key": STUDIO.upper()},
        {"X-API-Key": "ключ".encode()},
        {"Authorization": STUDIO},
        {"Authorization": "Basic " + STUDIO},
        bearer("wrong") | {"X-API-Key": STUDIO},
    ],
)
@pytest.mark.parametrize("path", ["/translate", "/unload", "/models"])
def test_without_a_valid_key_it_is_401(locked: TestClient, headers: dict[str, str], path: str) -> None:
    """No key, a wrong one, nearly the right one, or its hash from the file: a typed 401 that says how to show one."""
    answer = locked.request("GET" if path == "/models" else "POST", path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="likeness"'
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_missing_scope_is_403_and_named(locked: TestClient) -> None:
    """A valid key without the scope is told which one; with it, it passes; without need of one, any key passes."""
    refused = locked.post("/unload", headers=bearer(STUDIO))
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "the scope admin" in refused.json()["detail"]
    assert locked.post("/unload", headers=bearer(OPERATOR)).json() == "operator"
    assert locked.post("/translate", headers=bearer(OPERATOR)).status_code == 403
    assert locked.get("/models", headers=bearer(OPERATOR)).json() == "operator"


def test_probes_need_no_key(locked: TestClient) -> None:
    """A route that asks for nobody answers everybody."""
    assert locked.get("/livez").json() == "ok"


def test_a_used_up_quota_is_429(locked: TestClient) -> None:
    """After its burst a key is told when to come back, with RateLimit headers on every answer; others are not hurt."""
    for remaining in (1, 0):
        answer = locked.post("/translate", headers=bearer(LIMITED))
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == (
            '"default";q=2;w=2000, "concurrency";q=1;qu="concurrent-requests"'
        )
        assert answer.headers["ratelimit"].startswith(f'"default";r={remaining};t=')
    refused = locked.post("/translate", headers=bearer(LIMITED))
    assert (refused.status_code, refused.json()["code"]) == (429, "quota-exceeded")
    assert int(refused.headers["retry-after"]) == refused.json()["retry_after"] > 900
    assert '"default";r=0;t=' in refused.headers["ratelimit"]
    assert '"default";r=0' in locked.get("/models", headers=bearer(LIMITED)).headers["ratelimit"]
    unlimited = locked.post("/translate", headers=bearer(STUDIO))
    assert unlimited.status_code == 200
    assert "ratelimit" not in unlimited.headers


def test_a_charge_counts_against_the_quota(locked: TestClient) -> None:
    """A request with more than one picture passes and is counted; the next one waits."""
    assert locked.post("/batch", headers=bearer(LIMITED)).status_code == 200
    assert int(locked.post("/batch", headers=bearer(LIMITED)).headers["retry-after"]) > 8900


def test_two_at_once_are_too_many_for_one_place(keys: Path) -> None:
    """While a request of the key is in work, a second one is refused, and passes once the first is done."""
    app = application(Settings(api_keys=keys))

    async def scene() -> list[int]:
        uploaded = asyncio.Event()

        async def body() -> dict[str, Any]:
            await uploaded.wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        first = asyncio.create_task(post(app, LIMITED, body))
        await asyncio.sleep(0)
        second = await post(app, LIMITED, body)
        uploaded.set()
        return [await first, second, await post(app, LIMITED, body)]

    assert asyncio.run(scene()) == [200, 429, 200]


@pytest.mark.parametrize(
    ("key", "status"), [("wrong", 401), (OPERATOR, 403), (LIMITED, 429)], ids=["wrong", "scope", "quota"]
)
def test_who_is_refused_is_refused_before_the_body(keys: Path, key: str, status: int) -> None:
    """For 401, 403 and 429 not one byte of the body is asked for."""
    app = application(Settings(api_keys=keys))

    async def nothing() -> dict[str, Any]:
        raise AssertionError("the body was read")

    async def empty() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def scene() -> int:
        if status == 429:
            for _ in range(2):
                await post(app, LIMITED, empty)
        return await post(app, key, nothing)

    assert asyncio.run(scene()) == status


async def post(app: FastAPI, key: str, receive: Any) -> int:
    """The status of a POST to /translate whose body comes from `receive`."""
    statuses = []

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status"))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/translate",
        "query_string": b"",
        "headers": [(b"x-api-key", key.encode())],
    }
    await app(scope, receive, send)
    return statuses[0]


def test_a_new_key_is_256_bits_and_only_its_hash_is_written() -> None:
    """The entry holds the SHA-256 of the key and not the key; two keys differ; the key is long enough."""
    assert len({new_key("a", [Scope.VERIFY])[0] for _ in range(100)}) == 100
    assert len(STUDIO.removeprefix("lk_")) == 43  # 256 bits in base64
    assert hashlib.sha256(STUDIO.encode()).hexdigest() in STUDIO_ENTRY
    assert STUDIO not in STUDIO_ENTRY


def test_the_command_shows_the_key_apart_from_its_entry(tmp_path: Path) -> None:
    """stdout can be appended to the file of keys; the key itself goes to stderr, and belongs to that entry."""
    result = CliRunner().invoke(cli.app, ["keys", "new", "--id", "studio", "--scope", "translate", "--scope", "admin"])
    assert result.exit_code == 0
    path = tmp_path / "keys.toml"
    path.write_text(result.stdout + OPERATOR_ENTRY)
    (studio, _), key = read_keys(path), result.stderr.strip()
    assert studio.scopes == {Scope.TRANSLATE, Scope.ADMIN}
    assert studio.sha256 == hashlib.sha256(key.encode()).hexdigest()
    assert CliRunner().invoke(cli.app, ["keys", "new", "--id", "a b", "--scope", "admin"]).exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "key = []",
        "[[key]]",
        "not toml",
        STUDIO_ENTRY.replace("sha256", "key"),
        STUDIO_ENTRY.replace('"translate"', '"everything"'),
        STUDIO_ENTRY.replace('scopes = ["translate", "verify"]', "scopes = []"),
        STUDIO_ENTRY.replace('"studio"', '"anonymous"'),
        STUDIO_ENTRY.replace('"studio"', '"two words"'),
        STUDIO_ENTRY + "burst = 3",
        STUDIO_ENTRY + "requests_per_second = 0",
        STUDIO_ENTRY + "concurrency = 0",
        STUDIO_ENTRY + "colour = 1",
        STUDIO_ENTRY + STUDIO_ENTRY,
        STUDIO_ENTRY + STUDIO_ENTRY.replace("studio", "other"),
        STUDIO_ENTRY + LIMITED_ENTRY.replace("limited", "studio"),
    ],
)
def test_a_file_that_is_not_sound_stops_the_start(tmp_path: Path, text: str) -> None:
    """A file of keys without keys, or with anything unknown, twice or out of range is refused, and named."""
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"keys\.toml"):
        application(Settings(api_keys=path))


def test_an_error_of_the_file_quotes_nothing(tmp_path: Path) -> None:
    """A key that was written where its hash belongs is not repeated in the message, which is logged."""
    path = tmp_path / "keys.toml"
    path.write_text(f'[[key]]\nid = "a"\nsha256 = "{STUDIO}"\nscopes = ["verify"]\n')
    with pytest.raises(ValueError, match="sha256") as refused:
        read_keys(path)
    assert STUDIO not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    """Keys that were asked for and are not there never mean an open service."""
    with pytest.raises(FileNotFoundError):
        application(Settings(api_keys=tmp_path / "no.toml"))


def test_every_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """hmac.compare_digest sees every entry, also those after the match."""
    seen = []
    keys = [Key(id=str(i), sha256=f"{i:064x}", scopes=frozenset({Scope.VERIFY})) for i in range(3)]
    monkeypatch.setattr(access.hmac, "compare_digest", lambda known, given: seen.append(known) or True)
    assert access.Access(keys).client({"x-api-key": "any"}).id == "0"  # type: ignore[arg-type]
    assert seen == [key.sha256 for key in keys]


def test_openapi_offers_keys_where_they_are_needed(open_: TestClient, locked: TestClient) -> None:
    """With keys the document has both ways to send one, on the routes that ask; without keys it has none."""
    assert "securitySchemes" not in open_.get("/openapi.json").json().get("components", {})
    document = locked.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}
    assert document["paths"]["/translate"]["post"]["security"] == [{"bearer": []}, {"header": []}]
    assert "security" not in document["paths"]["/livez"]["get"]
    assert "Retry-After" in document["paths"]["/translate"]["post"]["responses"]["429"]["headers"]


SITE = "https://studio.example"


@pytest.fixture(name="site")
def site_(keys: Path) -> Iterator[TestClient]:
    """A client of an application that one web site may call."""
    with TestClient(application(Settings(api_keys=keys, cors_origins=(SITE,)))) as client:
        yield client


def test_only_a_listed_site_may_call(site: TestClient) -> None:
    """The listed origin is allowed, with its key and without cookies; another one is not, nor by default anyone."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-request-id"}
    allowed = site.options("/translate", headers={"Origin": SITE, **asked})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == SITE
    assert "access-control-allow-credentials" not in allowed.headers
    for origin in ("https://evil.example", SITE + ".evil.example", "http://studio.example", "null"):
        refused = site.options("/translate", headers={"Origin": origin, **asked})
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers
        assert "access-control-allow-origin" not in site.get("/livez", headers={"Origin": origin}).headers


def test_a_site_can_read_answers_and_refusals(site: TestClient) -> None:
    """Errors too carry the CORS headers, and every header of an answer is exposed."""
    for headers, status in ((bearer(STUDIO), 200), ({}, 401)):
        answer = site.post("/translate", headers={"Origin": SITE, **headers})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == SITE
        assert answer.headers["access-control-expose-headers"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_any_site_never_gets_credentials() -> None:
    """`*` opens the service to every site, without cookies, whatever the request holds."""
    with TestClient(application(Settings(cors_origins=("*",)))) as client:
        answer = client.post("/translate", headers={"Origin": SITE, "Cookie": "a=b"})
    assert answer.headers["access-control-allow-origin"] in ("*", SITE)
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["studio.example", "https://studio.example/", "https://*.example", "ftp://a", ""])
def test_an_origin_that_no_browser_sends_is_refused(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slash at the end or a missing scheme would silently never match: the start fails instead."""
    monkeypatch.setenv("LIKENESS_CORS_ORIGINS", json.dumps([SITE]))
    assert Settings().cors_origins == (SITE,)
    monkeypatch.setenv("LIKENESS_CORS_ORIGINS", json.dumps([origin]))
    with pytest.raises(ValidationError):
        Settings()
