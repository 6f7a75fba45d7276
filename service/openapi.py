"""What the generated OpenAPI document cannot know: bodies of several kinds, pictures as answers, every problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from service.errors import INTERNAL, PROBLEMS, Problem
from service.imaging import Format
from service.problems import MEDIA_TYPE
from service.schemas import ProblemDetails

_CONTENT = {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}}


_BY_URL = {
    "type": "object",
    "properties": {"url": {"type": "string", "format": "uri", "pattern": "^https://"}},
    "required": ["url"],
    "additionalProperties": False,
    "description": "where the operator allows it",
}


def problems(kinds: Iterable[type[Exception]]) -> dict[int | str, dict[str, Any]]:
    """FastAPI `responses` for these errors, grouped by status."""
    by_status: dict[int | str, list[Problem]] = {INTERNAL.status: [INTERNAL]}
    for kind in dict.fromkeys(kinds):
        by_status.setdefault(PROBLEMS[kind].status, []).append(PROBLEMS[kind])
    # `default` is also what keeps FastAPI from promising a 422 of its own for every route with a parameter.
    other = {"description": "Any other problem", "content": _CONTENT}
    return {**{status: _response(rows) for status, rows in sorted(by_status.items(), key=str)}, "default": other}


def operation(
    names: Sequence[str],
    options: type[BaseModel],
    *,
    bare: bool,
    several: bool = False,
    optional: Mapping[str, str] | None = None,
    examples: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """FastAPI `openapi_extra`: pictures `names` by form, JSON or (`bare`) as the body itself, options by query too.

    With `several` there may be many of each: repeated parts of a form, a list in JSON whose name has an s more. Further
    pictures, which may be missing, are `optional`, each with what it is for. Without pictures the body is JSON or
    nothing; `examples` are such bodies, by what they are for.
    """
    schema = options.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    fields = {name: _inlined(field, definitions) for name, field in schema["properties"].items()}
    extra = bool(schema.get("additionalProperties"))
    said = {name: {"description": purpose} for name, purpose in (optional or {}).items()}
    known = {**{name: {} for name in names}, **said}
    binary: dict[str, Any] = {name: {"type": "string", "format": "binary", **more} for name, more in known.items()}
    base64: dict[str, Any] = {name: {"type": "string", "contentEncoding": "base64"} for name in known}
    if several:
        binary = {name: {"type": "array", "items": each} for name, each in binary.items()}
        base64 = {f"{name}s": {"type": "array", "items": each} for name, each in base64.items()}
    else:
        base64 = {name: {"anyOf": [each, _BY_URL], **known[name]} for name, each in base64.items()}

    def body(pictures: dict[str, Any]) -> dict[str, Any]:
        properties = {**pictures, **fields}
        return {
            "schema": {
                "type": "object",
                "properties": properties,
                "required": [name for name in pictures if name not in said],
                "additionalProperties": extra,
            }
        }

    content = {"multipart/form-data": body(binary)} if names else {}
    content["application/json"] = body(base64)
    if examples:
        content["application/json"]["examples"] = {name: {"value": value} for name, value in examples.items()}
    if bare:
        content["image/*"] = {"schema": {"type": "string", "format": "binary"}}
    parameters = [
        {"name": name, "in": "query", "schema": field, "description": field.get("description", "")}
        for name, field in fields.items()
    ]
    return {"parameters": parameters, "requestBody": {"required": bool(names), "content": content}}


def pictures() -> dict[str, Any]:
    """Response content for an answer that is a picture."""
    return {each.media_type: {"schema": {"type": "string", "format": "binary"}} for each in Format}


def _response(rows: Sequence[Problem]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": "; ".join(f"`{row.code}`: {row.title}" for row in rows),
        "content": _CONTENT,
    }
    if rows[0].status in (429, 503):
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return response


def _inlined(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The field's schema with references resolved: a parameter's schema stands alone."""
    if "anyOf" in field:
        field = {**field, "anyOf": [_inlined(each, definitions) for each in field["anyOf"]]}
    reference = field.get("$ref")
    return definitions[reference.rpartition("/")[2]] if reference else field
