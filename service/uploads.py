"""Request bodies: pictures and options out of a multipart form, a bare picture or JSON. All of it stays in memory."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from service.errors import (
    AmbiguousBody,
    BadParameter,
    BodyTimeout,
    BodyTooLarge,
    ClientClosed,
    EmptyBody,
    LikenessError,
    MalformedBody,
    TooManyItems,
    UnsupportedBody,
    UrlNotAllowed,
)

FORM = "multipart/form-data"
JSON = "application/json"
MAX_FIELDS = 64
MAX_VALUES = 10_000  # of JSON: small ones take far more memory than their text


@dataclass(frozen=True)
class Picture:
    """An encoded picture and what the client says it is (None: nothing)."""

    content: bytes
    media_type: str | None = None


Fetch = Callable[[str], Awaitable[Picture]]


@dataclass(frozen=True)
class Upload:
    """The pictures of a request, by the names that were asked for, and every option of query and body."""

    pictures: Mapping[str, Picture]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """The pictures of a request, in their order, and every option of query and body.

    In the place of a picture that cannot be read stands what is wrong with it: that is no matter of the others.
    """

    pictures: Sequence[Picture | LikenessError]
    options: Mapping[str, Any]

    @property
    def contents(self) -> Iterator[bytes]:
        """What makes it the same as another one."""
        yield json.dumps(self.options, sort_keys=True).encode()
        for picture in self.pictures:
            yield picture.detail.encode() if isinstance(picture, LikenessError) else picture.content


async def read_upload(
    request: Request,
    names: Sequence[str],
    *,
    optional: Sequence[str] = (),
    max_bytes: int,
    seconds: float,
    fetch: Fetch | None = None,
) -> Upload:
    """The upload of `request`: exactly one picture for each of `names`, and at most one for each of `optional`.

    In JSON a picture may be `{"url": ...}`, which `fetch` gets. Raises BodyTooLarge, BodyTimeout, UnsupportedBody,
    MalformedBody, AmbiguousBody, EmptyBody, UrlNotAllowed without a `fetch`, what `fetch` raises, and BadParameter for
    an option that is given twice.
    """
    kind = _kind(request, bare=len(names) == 1)
    content = await read_body(request, max_bytes, seconds)
    known = [*names, *optional]
    pairs: list[tuple[str, Any]] = list(request.query_params.multi_items())
    if kind == JSON:
        pairs += [
            (name, await _given(name, each, fetch) if name in known else each) for name, each in _json_pairs(content)
        ]
    elif kind == FORM:
        too_many = AmbiguousBody(f"there are more files than {', '.join(known)}", fields=known)
        pairs += await _form_pairs(request, content, known, len(known), too_many)
    else:
        pairs.append((names[0], Picture(content, kind)))
    return _upload(pairs, names, optional)


async def read_batch(
    request: Request, *, max_items: int, max_picture_bytes: int, max_bytes: int, seconds: float
) -> Batch:
    """The pictures of `request`: parts `image` of a form, or the member `images` of JSON.

    Raises what `read_upload` raises for the body as a whole, and TooManyItems.
    """
    kind = _kind(request, bare=False)
    content = await read_body(request, max_bytes, seconds)
    pairs: list[tuple[str, Any]] = list(request.query_params.multi_items())
    too_many = TooManyItems(f"the limit is {max_items} pictures")
    if kind == JSON:
        name = "images"
        pairs += [pair for member in _json_pairs(content) for pair in _apart(*member, name)]
    else:
        name = "image"
        pairs += await _form_pairs(request, content, [name], max_items, too_many)
    given = [value for key, value in pairs if key == name]
    if not given:
        raise EmptyBody("there is no picture", fields=[name])
    if len(given) > max_items:
        raise too_many
    pictures = [_usable(f"{name}/{number}", value, max_picture_bytes) for number, value in enumerate(given)]
    return Batch(pictures, _options((key, value) for key, value in pairs if key != name))


async def read_options(request: Request, *, max_bytes: int, seconds: float) -> dict[str, Any]:
    """Every option of the query and of a body that is a JSON object or nothing.

    Raises what `read_body` raises, MalformedBody, and BadParameter for an option that is given twice.
    """
    content = await read_body(request, max_bytes, seconds)
    body = _json_pairs(content) if content.strip() else []
    return _options([*request.query_params.multi_items(), *body])


def _kind(request: Request, *, bare: bool) -> str:
    """The media type of a body that can be read; with `bare` a picture itself can be."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (FORM, JSON) and not (bare and kind.startswith("image/")):
        accepted = [FORM, JSON, *(["image/*"] if bare else [])]
        raise UnsupportedBody(f"Content-Type {kind or 'is missing'}; the route reads {', '.join(accepted)}")
    return kind


def _upload(pairs: Iterable[tuple[str, Any]], names: Sequence[str], optional: Sequence[str]) -> Upload:
    pictures: dict[str, Picture] = {}
    others: list[tuple[str, Any]] = []
    for name, value in pairs:
        if name in pictures:
            raise AmbiguousBody(f"{name} is given more than once", fields=[name])
        if isinstance(value, Picture):
            pictures[name] = value
        elif name in names or name in optional:
            raise MalformedBody(f"{name} is not a picture", fields=[name])
        else:
            others.append((name, value))
    for name in (*names, *pictures):
        if name not in pictures or not pictures[name].content:
            raise EmptyBody(f"{name} is missing or has no bytes", fields=[name])
    return Upload(pictures, _options(others))


def _options(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in pairs:
        if name in options:
            raise BadParameter(f"{name} is given more than once", fields=[name])
        options[name] = value
    return options


async def _given(name: str, value: Any, fetch: Fetch | None) -> Picture:
    match value:
        case [("url", str(url))]:
            if fetch is None:
                raise UrlNotAllowed("pictures by URL are not taken here", fields=[name])
            return await fetch(url)
    return from_base64(name, value)


def _apart(key: str, value: Any, name: str) -> list[tuple[str, Any]]:
    """A member of a JSON object; if it is the list of pictures, a pair for each of them."""
    if key != name:
        return [(key, value)]
    if not isinstance(value, list):
        raise MalformedBody(f"{name} is not a list of base64 strings", fields=[name])
    return [(name, _decoded(f"{name}/{number}", each)) for number, each in enumerate(value)]


def _decoded(name: str, value: Any) -> Picture | LikenessError:
    try:
        return from_base64(name, value)
    except LikenessError as error:
        return type(error)(error.detail, fields=error.fields)  # the one that was raised holds on to the text


def _usable(name: str, value: Any, max_bytes: int) -> Picture | LikenessError:
    """The picture, or what is wrong with it as far as can be told without a look at it."""
    if isinstance(value, LikenessError):
        return value
    if not isinstance(value, Picture):
        return MalformedBody(f"{name} is not a picture", fields=[name])
    if not value.content:
        return EmptyBody(f"{name} has no bytes", fields=[name])
    if len(value.content) > max_bytes:
        return BodyTooLarge(f"the limit of one picture is {max_bytes} bytes", fields=[name])
    return value


async def read_body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """The whole body, given up as soon as it is known to be too large or too slow.

    Raises UnsupportedBody if it is compressed, BodyTooLarge, BodyTimeout and ClientClosed.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedBody("Content-Encoding is not supported")
    too_large = BodyTooLarge(f"the limit is {max_bytes} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    body = BytesIO()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body.write(chunk)
                if body.tell() > max_bytes:
                    raise too_large
    except TimeoutError:
        raise BodyTimeout(f"the body did not arrive within {seconds:g} seconds") from None
    except ClientDisconnect:
        raise ClientClosed("the client went away") from None
    return body.getvalue()  # which is not a copy


def json_object(content: bytes) -> dict[str, Any]:
    """The JSON object that is the body; MalformedBody."""
    found = _json(content, dict)
    if not isinstance(found, dict):
        raise MalformedBody("the body is not a JSON object")
    return found


def _json_pairs(content: bytes) -> list[tuple[str, Any]]:
    """Members of the JSON object; an object within it is a list of pairs too."""
    pairs = _json(content, list)
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise MalformedBody("the body is not a JSON object")
    return pairs


def _json(content: bytes, object_of: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    if sum(map(content.count, (b",", b"[", b"{"))) > MAX_VALUES:  # there is none in base64
        raise MalformedBody(f"the body has more than {MAX_VALUES} values")
    try:
        return json.loads(content, object_pairs_hook=object_of)
    except (ValueError, RecursionError) as error:
        raise MalformedBody("the body is not JSON") from error


def from_base64(name: str, value: Any) -> Picture:
    """The picture of a base64 string, with or without a data: URI around it."""
    if not isinstance(value, str):
        raise MalformedBody(f"{name} is not a base64 string", fields=[name])
    media_type = None
    if value.startswith("data:"):
        head, _, value = value.partition(",")
        media_type = head.removeprefix("data:").partition(";")[0].lower()
    try:
        return Picture(base64.b64decode(value, validate=True), media_type or None)
    except (binascii.Error, ValueError) as error:
        raise MalformedBody(f"{name} is not base64", fields=[name]) from error


class _MemoryParser(MultiPartParser):
    """Starlette's parser writes files over 1 MB to disk; the body is in memory and within its cap already."""

    spool_max_size = 0  # 0: SpooledTemporaryFile never rolls over


async def _form_pairs(
    request: Request, content: bytes, names: Sequence[str], max_files: int, too_many: LikenessError
) -> list[tuple[str, Any]]:
    """Pictures and text of a form; `too_many` is raised if it certainly has more than `max_files` files."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield content

    # One more than that, so that a form which is broken elsewhere is not taken for one with too many.
    parser = _MemoryParser(request.headers, stream(), max_files=max_files + 1, max_fields=MAX_FIELDS)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        if sum(isinstance(part, UploadFile) for _, part in parser.items) > max_files:
            raise too_many from error
        raise MalformedBody("the body is not a multipart form") from error
    try:
        return [(name, await _part(name, value, names)) for name, value in form.multi_items()]
    finally:
        await form.close()


async def _part(name: str, value: UploadFile | str, names: Sequence[str]) -> Any:
    if isinstance(value, str):
        return value
    if name not in names:
        raise AmbiguousBody(f"there is a file where none is expected: {name!r}", fields=[name])
    return Picture(await value.read(), value.content_type and value.content_type.partition(";")[0].strip().lower())
