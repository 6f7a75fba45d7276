"""Request bodies: pictures and options out of a multipart form, a bare picture or JSON. All of it stays in memory."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    MalformedBody,
    UnsupportedBody,
)

MAX_PARTS = 64


@dataclass(frozen=True)
class Picture:
    """An encoded picture and what the client says it is (None: nothing)."""

    content: bytes
    media_type: str | None = None


@dataclass(frozen=True)
class Upload:
    """The pictures of a request, by the names that were asked for, and every option of query and body."""

    pictures: Mapping[str, Picture]
    options: Mapping[str, Any]


async def read_upload(request: Request, names: Sequence[str], *, max_bytes: int, seconds: float) -> Upload:
    """The upload of `request`, which must hold exactly one picture for each of `names`.

    Raises BodyTooLarge, BodyTimeout, UnsupportedBody, MalformedBody, AmbiguousBody, EmptyBody, and BadParameter for an
    option that is given twice.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    bare = kind.startswith("image/") and len(names) == 1
    if not bare and kind not in ("multipart/form-data", "application/json"):
        accepted = ["multipart/form-data", "application/json", *(["image/*"] if len(names) == 1 else [])]
        raise UnsupportedBody(f"Content-Type {kind or 'is missing'}; the route reads {', '.join(accepted)}")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedBody("Content-Encoding is not supported")
    content = await _body(request, max_bytes, seconds)
    pairs: list[tuple[str, Any]] = list(request.query_params.multi_items())
    if bare:
        pairs.append((names[0], Picture(content, kind)))
    elif kind == "application/json":
        pairs += _json_pairs(content, names)
    else:
        pairs += await _form_pairs(request, content, names)
    return _upload(pairs, names)


def _upload(pairs: Iterable[tuple[str, Any]], names: Sequence[str]) -> Upload:
    pictures: dict[str, Picture] = {}
    options: dict[str, Any] = {}
    for name, value in pairs:
        if name in pictures:
            raise AmbiguousBody(f"{name} is given more than once", fields=[name])
        if name in options:
            raise BadParameter(f"{name} is given more than once", fields=[name])
        if isinstance(value, Picture):
            pictures[name] = value
        elif name in names:
            raise MalformedBody(f"{name} is not a picture", fields=[name])
        else:
            options[name] = value
    for name in names:
        if name not in pictures or not pictures[name].content:
            raise EmptyBody(f"{name} is missing or has no bytes", fields=[name])
    return Upload(pictures, options)


async def _body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """The whole body, given up as soon as it is known to be too large or too slow."""
    too_large = BodyTooLarge(f"the limit is {max_bytes} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    chunks = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                chunks += chunk
                if len(chunks) > max_bytes:
                    raise too_large
    except TimeoutError:
        raise BodyTimeout(f"the body did not arrive within {seconds:g} seconds") from None
    except ClientDisconnect:
        raise ClientClosed("the client went away") from None
    return bytes(chunks)


def _json_pairs(content: bytes, names: Sequence[str]) -> list[tuple[str, Any]]:
    """Members of the JSON object; those named as pictures are base64, with or without a data: URI around it."""
    try:
        pairs = json.loads(content, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise MalformedBody("the body is not JSON") from error
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise MalformedBody("the body is not a JSON object")
    return [(name, _from_base64(name, value) if name in names else value) for name, value in pairs]


def _from_base64(name: str, value: Any) -> Picture:
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


async def _form_pairs(request: Request, content: bytes, names: Sequence[str]) -> list[tuple[str, Any]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield content

    parser = _MemoryParser(request.headers, stream(), max_files=MAX_PARTS, max_fields=MAX_PARTS)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
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
