"""Inference by the Open Inference Protocol: from tensors of files to chains, and from what they give to tensors.

A translator takes `image`, and controls as FP32 tensors or among the parameters; it gives `image` and, where there is
an encoder, `similarity`. An encoder takes `image1` and `image2` and says how alike their faces are: an embedding is
never in an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel, Field

from export.contract import Contract, ControlError, Value
from service import access, errors, schemas, tensors
from service.access import Scope
from service.api import exchange, translation, verify
from service.api.exchange import JSON, NO_STORE
from service.bulk import on_loop
from service.engine import Chain, Served
from service.errors import BadParameter, EmptyBody, LikenessError, TooManyItems
from service.imaging import Format
from service.pipeline import Commission, Faces, Look, Pipeline, Watch, control_values
from service.telemetry import PICTURE_PROBLEMS, route_of
from service.tensors import BINARY_DATA, BINARY_OUTPUTS, HEADER_LENGTH, Datatype, Header, Tensor
from service.uploads import Picture, read_body

BINARY = "application/octet-stream"
SCOPES = {"translator": Scope.TRANSLATE, "encoder": Scope.VERIFY}
ERRORS = (*exchange.BODY_ERRORS, errors.TooManyFaces, errors.TooManyItems)

T = TypeVar("T")
Kind = TypeVar("Kind", bound=schemas.Options)


class Column(BaseModel):
    """An input or output."""

    name: str
    datatype: Datatype
    shape: list[int] = Field(description="-1: as many as there are elements in the request")


def signature(contract: Contract, scores: bool) -> tuple[list[Column], list[Column]]:
    """The inputs and outputs of a model here, which are not those of its graph; `scores`: whether there is an encoder.

    Inputs of type FP32 may be left out.
    """

    def column(name: str, datatype: Datatype, shape: Sequence[int] = ()) -> Column:
        return Column(name=name, datatype=datatype, shape=[-1, *shape])

    similarity = column("similarity", Datatype.FP32)
    if contract.role == "encoder":
        pair = [column(name, Datatype.BYTES) for name in verify.NAMES]
        return pair, [similarity, column("same_person", Datatype.BOOL)]
    controls = [column(control.name, Datatype.FP32, control.shape) for control in contract.controls]
    image = column("image", Datatype.BYTES)
    return [image, *controls], [image, similarity] if scores else [image]


def scores(request: Request) -> bool:
    """Whether there is an encoder that says how much of a person is left."""
    return exchange.parts(request).registry.get(exchange.settings(request).encoder) is not None


@dataclass(frozen=True)
class _Order:
    """A request that was read."""

    request: Request
    served: Served
    header: Header
    given: Mapping[str, Tensor]
    watch: Watch

    @property
    def contract(self) -> Contract:
        return self.served.model.contract

    @property
    def pipeline(self) -> Pipeline:
        return exchange.parts(self.request).pipeline

    @property
    def outputs(self) -> dict[str, Column]:
        """What there is, by name."""
        return {each.name: each for each in signature(self.contract, scores(self.request))[1]}


async def infer(request: Request, served: Served) -> Response:
    """The answer to an admitted request whose body is still to be read."""
    role = served.model.contract.role
    access.identified(request, SCOPES[role])
    settings = exchange.settings(request)
    content = await read_body(request, settings.max_body_bytes, settings.body_timeout)
    exchange.telemetry(request).body_bytes.labels(route_of(request.scope)).observe(len(content))
    header, given = tensors.read(content, request.headers.get(HEADER_LENGTH))
    order = _Order(request, served, header, given, exchange.watch(request))
    return await (_compare(order) if role == "encoder" else _draw(order))


async def _draw(order: _Order) -> Response:
    options = _options(order, schemas.TranslateOptions, "model", "identity")
    if options.faces is Faces.ALL and options.output == "crop":
        raise BadParameter("an element is one picture: faces=all takes output=photo", fields=["faces", "output"])
    binary = _wanted(order)
    files = _files(order, ["image"])
    values = _values(order, options, len(files))
    look = Look(options.output == "photo", options.format or Format.PNG, options.quality)
    commissions = [
        Commission(Picture(file), order.served, each, options.faces, look, "similarity" in binary)
        for (file,), each in zip(files, values, strict=True)
    ]
    chains = [order.pipeline.translate(each, order.watch) for each in commissions]
    drawn = await _side_by_side(order, chains, translation.KIND)
    pictures = [each.drawings[0].file if each.photo is None else each.photo for each in drawn]
    return _answer(order, binary, {"image": pictures, "similarity": [each.drawings[0].similarity for each in drawn]})


async def _compare(order: _Order) -> Response:
    options = _options(order, schemas.VerifyOptions, "model")
    binary = _wanted(order)
    files = _files(order, verify.NAMES)
    if others := set(order.given) - set(verify.NAMES):
        raise BadParameter(f"an encoder has no such input: {', '.join(sorted(others))}", fields=sorted(others))
    chains = [
        order.pipeline.verify(
            dict(zip(verify.NAMES, map(Picture, pair), strict=True)), order.served, options.far, order.watch
        )
        for pair in files
    ]
    compared = await _side_by_side(order, chains, verify.KIND)
    similarities = [each.similarity for each in compared]
    same = [each.similarity >= each.threshold for each in compared]
    return _answer(order, binary, {"similarity": similarities, "same_person": same})


def _options(order: _Order, kind: type[Kind], *elsewhere: str) -> Kind:
    """The parameters as options of a route, none of which may be one that is said elsewhere here."""
    parameters = {name: value for name, value in order.header.parameters.items() if name != BINARY_OUTPUTS}
    if said := [name for name in elsewhere if name in parameters]:
        raise BadParameter(f"{', '.join(said)}: path and outputs say that here", fields=said)
    return kind.parse(parameters)


def _wanted(order: _Order) -> dict[str, bool]:
    """The outputs that are wanted, and of each whether it shall be binary."""
    usual, binary = order.header.parameters.get(BINARY_OUTPUTS, False), {}
    if order.header.outputs is None:
        return dict.fromkeys(order.outputs, usual is True)
    for wanted in order.header.outputs:
        if wanted.name not in order.outputs or set(wanted.parameters) - {BINARY_DATA}:
            raise BadParameter(f"there is no output {wanted.name!r} with such parameters", fields=[wanted.name])
        binary[wanted.name] = wanted.parameters.get(BINARY_DATA, usual) is True
    return binary


def _files(order: _Order, names: Sequence[str]) -> list[tuple[bytes, ...]]:
    """For every element the files of the inputs `names`."""
    columns = []
    for name in names:
        tensor = order.given.get(name)
        if tensor is None:
            raise EmptyBody(f"{name} is missing", fields=[name])
        if tensor.datatype is not Datatype.BYTES or len(tensor.shape) != 1:
            raise BadParameter(f"{name}: takes files, of type BYTES and shape [n]", fields=[name])
        if not tensor.values or not all(tensor.values):
            raise EmptyBody(f"{name} has no element, or one without bytes", fields=[name])
        columns.append(tensor.values)
    if len({len(column) for column in columns}) > 1:
        raise BadParameter(f"{' and '.join(names)} have not as many elements", fields=names)
    limit = exchange.settings(order.request).max_batch_items
    if len(columns[0]) > limit:
        raise TooManyItems(f"the limit is {limit} pictures", fields=names)
    access.charge(order.request, len(columns[0]) - 1)
    return list(zip(*columns, strict=True))


def _values(order: _Order, options: schemas.TranslateOptions, count: int) -> list[Mapping[str, Value]]:
    """The values of the controls for each of `count` elements."""
    columns = {name: _column(order.contract, each, count) for name, each in order.given.items() if name != "image"}
    if twice := columns.keys() & options.controls.keys():
        raise BadParameter(f"as input and as parameter: {', '.join(sorted(twice))}", fields=sorted(twice))
    return [
        control_values(
            order.contract,
            {**options.controls, **{name: column[number] for name, column in columns.items()}},
            options.seed,
        )
        for number in range(count)
    ]


def _column(contract: Contract, tensor: Tensor, count: int) -> Any:
    """The values of a control, an element each."""
    try:
        shape = (count, *contract.control(tensor.name).shape)
    except ControlError as error:
        raise BadParameter(str(error), fields=[error.control]) from None
    if tensor.datatype is not Datatype.FP32 or tensor.shape != shape:
        raise BadParameter(f"{tensor.name}: takes type FP32 and shape {list(shape)}", fields=[tensor.name])
    return tensor.array


async def _side_by_side(order: _Order, chains: Sequence[Chain[T]], kind: str) -> list[T]:
    """What the chains return, in their order; if one fails, the others are let go."""
    engine = exchange.parts(order.request).engine
    cancellation, key = order.watch.cancellation, order.request.state.client.id
    results: list[T] = []

    async def one(number: int, chain: Chain[T]) -> T:
        try:
            return await on_loop(engine.submit(chain, kind, cancellation, key=key))
        except LikenessError as error:
            if type(error) in PICTURE_PROBLEMS:
                error.fields = tuple(f"{name}/{number}" for name in error.fields or ["image"])
            raise

    async def all_of_them() -> None:
        try:
            results.extend(await asyncio.gather(*(one(number, chain) for number, chain in enumerate(chains))))
        except BaseException:
            cancellation.cancel()
            raise

    await exchange.attended(order.request, all_of_them())
    return results


def _answer(order: _Order, binary: Mapping[str, bool], columns: Mapping[str, Sequence[Any]]) -> Response:
    model, outputs = order.served.model, order.outputs
    members: dict[str, Any] = {"model_name": model.name, "model_version": str(model.version)}
    if order.header.id is not None:
        members["id"] = order.header.id
    given = {name: Tensor(name, outputs[name].datatype, (len(columns[name]),), columns[name]) for name in binary}
    content, header_length = tensors.write(members, given, binary)
    headers = {**NO_STORE, "X-Likeness-Model": order.served.label}
    if not any(binary.values()):
        return Response(content, media_type=JSON, headers=headers)
    return Response(content, media_type=BINARY, headers={**headers, HEADER_LENGTH: str(header_length)})
