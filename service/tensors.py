"""Tensors of the Open Inference Protocol over HTTP, in JSON and in the binary tensor data extension.

A body is a JSON object, its header, and behind it the bytes of those tensors that the header gives a size for, in their
order: numbers little-endian, an element of BYTES behind its length in four bytes. JSON has no bytes: there such an
element is base64.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from service.errors import BadParameter, MalformedBody
from service.schemas import Options
from service.uploads import from_base64, json_object

HEADER_LENGTH = "Inference-Header-Content-Length"
# Parameters of the extension: of a tensor that is given, of an output that is wanted, of all outputs.
BINARY_SIZE = "binary_data_size"
BINARY_DATA = "binary_data"
BINARY_OUTPUTS = "binary_data_output"
_PREFIX = 4  # bytes of the length of an element of BYTES


class Datatype(StrEnum):
    """The types of elements that occur here."""

    BYTES = "BYTES"
    FP32 = "FP32"
    BOOL = "BOOL"


_NUMPY = {Datatype.FP32: np.dtype("<f4"), Datatype.BOOL: np.dtype("?")}


class Output(BaseModel):
    """A tensor that a request wants."""

    name: str
    parameters: dict[str, Any] = {}


class Input(BaseModel):
    """A tensor of a request, as its header tells of it."""

    name: str
    shape: list[Annotated[int, Field(ge=0)]]
    datatype: str
    parameters: dict[str, Any] = {}
    data: Any = None


class Header(Options):
    """The JSON of a request."""

    id: str | None = Field(None, description="comes back in the answer")
    parameters: dict[str, Any] = Field({}, description="options of the model's route, and `binary_data_output`")
    inputs: list[Input]
    outputs: list[Output] | None = Field(None, description="unset: all that there are")


@dataclass(frozen=True)
class Tensor:
    """Elements in row-major order: a list of bytes, or a flat array."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    values: Sequence[Any] | NDArray[Any]

    @property
    def array(self) -> NDArray[Any]:
        """The numbers in their shape."""
        return np.asarray(self.values).reshape(self.shape)


def read(content: bytes, header_length: str | None) -> tuple[Header, dict[str, Tensor]]:
    """The header of a request and its tensors by name; `header_length` as in HEADER_LENGTH, None: all is JSON.

    Raises MalformedBody and BadParameter.
    """
    length = len(content) if header_length is None else _length(header_length, len(content))
    header = Header.parse(json_object(content[:length]))
    tensors: dict[str, Tensor] = {}
    for each, data in zip(header.inputs, _pieces(header.inputs, content, length), strict=True):
        if each.name in tensors:
            raise BadParameter(f"{each.name} is given more than once", fields=[each.name])
        tensors[each.name] = _tensor(each, data)
    return header, tensors


def write(members: Mapping[str, Any], outputs: Mapping[str, Tensor], binary: Mapping[str, bool]) -> tuple[bytes, int]:
    """A body of `members` and `outputs`, those of `binary` behind the JSON; and the length of the JSON."""
    told, pieces = [], []
    for name, tensor in outputs.items():
        output: dict[str, Any] = {"name": name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if binary[name]:
            pieces.append(_to_binary(tensor))
            output["parameters"] = {BINARY_SIZE: len(pieces[-1])}
        else:
            output["data"] = _to_json(tensor)
            if tensor.datatype is Datatype.BYTES:
                output["parameters"] = {"content_type": "base64"}
        told.append(output)
    header = json.dumps({**members, "outputs": told}, allow_nan=False).encode()
    return b"".join([header, *pieces]), len(header)


def _length(text: str, most: int) -> int:
    if not text.isdecimal() or int(text) > most:
        raise MalformedBody(f"{HEADER_LENGTH} is no length within the body", fields=[HEADER_LENGTH])
    return int(text)


def _pieces(inputs: Sequence[Input], content: bytes, start: int) -> Iterator[bytes | None]:
    """For each input the bytes behind the JSON that are its own, None if its data are in the JSON."""
    for each in inputs:
        size = each.parameters.get(BINARY_SIZE)
        if size is None:
            yield None
            continue
        if type(size) is not int or not 0 <= size <= len(content) - start:
            raise MalformedBody(f"{each.name}: {BINARY_SIZE} is no size within the body", fields=[each.name])
        yield content[start : start + size]
        start += size
    if start != len(content):
        raise MalformedBody(f"{len(content) - start} bytes belong to no input")


def _tensor(given: Input, data: bytes | None) -> Tensor:
    values: Sequence[bytes] | NDArray[Any]
    match given.datatype:
        case Datatype.BYTES:
            values = _json_elements(given) if data is None else _elements(given.name, data)
        case Datatype.FP32:
            values = _json_numbers(given) if data is None else _numbers(given.name, data)
        case other:
            raise BadParameter(f"{given.name}: there is no input of type {other}", fields=[given.name])
    if len(values) != math.prod(given.shape):
        raise BadParameter(f"{given.name}: {len(values)} elements for shape {given.shape}", fields=[given.name])
    return Tensor(given.name, Datatype(given.datatype), tuple(given.shape), values)


def _elements(name: str, data: bytes) -> list[bytes]:
    elements: list[bytes] = []
    start = 0
    while start < len(data):
        begin = start + _PREFIX
        end = begin + int.from_bytes(data[start:begin], "little")
        if end > len(data):
            raise MalformedBody(f"{name}: element {len(elements)} reaches beyond the tensor", fields=[name])
        elements.append(data[begin:end])
        start = end
    return elements


def _numbers(name: str, data: bytes) -> NDArray[np.float32]:
    kind = _NUMPY[Datatype.FP32]
    if len(data) % kind.itemsize:
        raise MalformedBody(f"{name}: {len(data)} bytes are no whole number of elements", fields=[name])
    return np.frombuffer(data, kind)


def _json_elements(given: Input) -> list[bytes]:
    if not isinstance(given.data, list):
        raise BadParameter(f"{given.name}: no list of base64 strings", fields=[given.name])
    return [from_base64(f"{given.name}/{number}", each).content for number, each in enumerate(given.data)]


def _json_numbers(given: Input) -> NDArray[np.float32]:
    try:
        numbers = np.asarray(given.data)
    except ValueError:  # lists of unequal lengths
        numbers = np.empty(0, object)
    if numbers.dtype.kind not in "iuf":
        raise BadParameter(f"{given.name}: no list of numbers", fields=[given.name])
    with np.errstate(over="ignore"):  # beyond float32 is infinite, which no control takes
        return numbers.astype(np.float32).ravel()


def _to_binary(tensor: Tensor) -> bytes:
    if tensor.datatype is Datatype.BYTES:
        return b"".join(piece for each in tensor.values for piece in (len(each).to_bytes(_PREFIX, "little"), each))
    return np.asarray(tensor.values, _NUMPY[tensor.datatype]).tobytes()


def _to_json(tensor: Tensor) -> list[Any]:
    if tensor.datatype is Datatype.BYTES:
        return [b64encode(each).decode() for each in tensor.values]
    return list(np.asarray(tensor.values, _NUMPY[tensor.datatype]).tolist())
