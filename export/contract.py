"""What a model file promises: inputs, ranges, styles, alignment and origin, as JSON in the ONNX metadata.

The one place that knows names, shapes, colour order and ranges. Images are uint8 [H, W, 3] RGB with all normalisation
inside the graph; the batch axis B comes first and is dynamic:

    image    uint8   [B, template.height, template.width, 3]   if the contract has a template
    control  float32 [B, *control.shape]                       one input for each control, in this order
    output   uint8   [B, H, W, 3] `image`, or float32 [B, D] `embedding` (unit length) or `style`

ONNX refuses one name for an input and an output, so an image leaves the graph as `image_out`.

What a model of the role `style` reads of a drawing is a value for the control `style` of translators.

A generator has no image: the control `z` is who it makes. Where it mixes two, `z2` is the other one, and `crossover`
the first layer that is of `z2`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from export.alignment import Image, Template

FORMAT = 1
METADATA_KEY = "likeness.contract"

OUTPUTS = {"translator": "image", "encoder": "embedding", "style": "style", "generator": "image", "rotator": "image"}
STYLE = "style"
LATENT, MIXED, CROSSOVER = "z", "z2", "crossover"

Port = tuple[str, str, Sequence[Any]]  # name, ONNX Runtime type, shape with anything but an int for a dynamic axis
Value = float | str | ArrayLike


class ContractError(ValueError):
    """A contract that cannot be read, contradicts itself or disagrees with its graph."""


class ControlError(ValueError):
    """A value that a control does not take; `control` names it."""

    def __init__(self, control: str, message: str) -> None:
        super().__init__(f"{control}: {message}")
        self.control = control


@dataclass(frozen=True)
class Control:
    """A named input beside the image: `shape` per row (() for a number), inclusive range (None: open), meaning."""

    name: str
    shape: tuple[int, ...]
    low: float | None
    high: float | None
    default: float | tuple[float, ...]
    meaning: str

    def nearest(self, given: ArrayLike) -> NDArray[np.float32]:
        """`given`, of this control's shape, brought within the range."""
        return np.asarray(np.clip(given, self.low, self.high), np.float32)

    def value(self, given: Value) -> NDArray[np.float32]:
        """`given` as float32 of this control's shape; ControlError if it is no finite number within the range."""
        try:
            with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused below
                value = np.asarray(given, np.float32)
        except (TypeError, ValueError, OverflowError):
            raise ControlError(self.name, "not a number") from None
        if value.shape != self.shape:
            wanted = "one number" if not self.shape else f"{math.prod(self.shape)} numbers"
            raise ControlError(self.name, f"takes {wanted}, not an array of shape {list(value.shape)}")
        if not np.isfinite(value).all():
            raise ControlError(self.name, "not finite")
        if (self.low is not None and (value < self.low).any()) or (self.high is not None and (value > self.high).any()):
            raise ControlError(self.name, f"outside {self.range}")
        return value

    def draw(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """A value from all over the range: uniform if it is closed, else N(0, 1) within it."""
        if self.low is None or self.high is None:
            return self.nearest(rng.standard_normal(self.shape))
        return np.asarray(rng.uniform(self.low, self.high, self.shape), np.float32)

    @property
    def range(self) -> str:
        """The range as people write it, e.g. "0..3"."""
        low, high = ("" if bound is None else f"{bound:g}" for bound in (self.low, self.high))
        return f"{low}..{high}"


@dataclass(frozen=True)
class Contract:
    """All that a service must know to run a model it has never heard of."""

    role: str
    """One of OUTPUTS: translator, encoder, style, generator, rotator."""
    template: Template | None
    """How the image input is aligned; None for a graph without an image input."""
    controls: tuple[Control, ...]
    """Every other input, in graph order."""
    styles: Mapping[str, tuple[float, ...]]
    """Named vectors of the control `style`; the first is its default."""
    output: str
    output_shape: tuple[int, ...]
    """Of one row."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Encoder: false-accept rate ("0.01") -> the cosine from which two faces count as one person."""
    notice: str = ""
    """What a user must know before anything else, e.g. that the training data forbids commercial use."""
    licence: str = ""
    data: tuple[str, ...] = ()
    description: str = ""
    parity: Mapping[str, float] = field(default_factory=dict)
    """Largest deviations of the graph from the trained network, as measured at export."""
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if OUTPUTS.get(self.role) != self.output:
            raise ContractError(f"role {self.role!r} with output {self.output!r}")
        if (self.template is None) != (self.role == "generator"):
            raise ContractError(f"a {self.role} with{'out' if self.template is None else ''} a template")
        if self.output == "image" and (len(self.output_shape) != 3 or self.output_shape[-1] != 3):
            raise ContractError(f"an image cannot have the shape {list(self.output_shape)}")
        names = [control.name for control in self.controls]
        if len({*names, "image"}) != len(names) + 1:
            raise ContractError(f"input names are not unique: {names}")
        try:
            for control in self.controls:
                control.value(control.default)
            if self.role == "generator":
                self._check_latents()
            for name, vector in self.styles.items():
                if not np.array_equal(self.control(STYLE).value(vector), np.asarray(vector, np.float32)):
                    raise ContractError(f"style {name!r} is no vector of the control")
        except ControlError as error:
            raise ContractError(str(error)) from error
        if self.styles and self.control(STYLE).default != next(iter(self.styles.values())):
            raise ContractError("the first named style is not the default of the control")

    # Metadata

    def to_metadata(self) -> dict[str, str]:
        """The entries for the ONNX `metadata_props`."""
        return {METADATA_KEY: json.dumps({"format": FORMAT, **asdict(self)}, allow_nan=False)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str) -> Contract:
        """Read it back; ContractError names `source` if the format is unknown or anything is missing or strange."""
        try:
            document = json.loads(metadata[METADATA_KEY])
            if document.pop("format") != FORMAT:
                raise ContractError(f"a contract of an unknown format; this version reads format {FORMAT}")
            return cls(**_parsed(document))
        except KeyError as error:
            raise ContractError(f"{source}: no {error} in the metadata or contract") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ContractError(f"{source}: {error}") from error

    @property
    def output_name(self) -> str:
        """What the graph calls its output."""
        return "image_out" if self.output == "image" else self.output

    def check(self, inputs: Sequence[Port], outputs: Sequence[Port], source: str) -> None:
        """ContractError, naming `source`, unless the graph has exactly the promised inputs and output."""
        expected_inputs = [(control.name, "tensor(float)", control.shape) for control in self.controls]
        if self.template is not None:
            image = ("image", "tensor(uint8)", (self.template.height, self.template.width, 3))
            expected_inputs.insert(0, image)
        kind = "tensor(uint8)" if self.output == "image" else "tensor(float)"
        _agree(inputs, expected_inputs, f"{source}: inputs")
        _agree(outputs, [(self.output_name, kind, self.output_shape)], f"{source}: output")

    # Requests and tensors

    def control(self, name: str) -> Control:
        """The control of that name, or ControlError."""
        for control in self.controls:
            if control.name == name:
                return control
        raise ControlError(name, "the model has no such control")

    def values(self, request: Mapping[str, Value]) -> dict[str, NDArray[np.float32]]:
        """One value for every control: those requested (a style also by its name), defaults for the rest."""
        for name in request:
            self.control(name)
        return {
            control.name: control.value(self._named(control, request.get(control.name, control.default)))
            for control in self.controls
        }

    def feed(
        self, images: Sequence[Image], requests: Sequence[Mapping[str, Value]]
    ) -> dict[str, NDArray[np.uint8] | NDArray[np.float32]]:
        """The graph's inputs for one batch: row i from image i (none for a generator) and request i."""
        rows = [self.values(request) for request in requests]
        feed: dict[str, NDArray[Any]] = {
            control.name: np.stack([row[control.name] for row in rows]) for control in self.controls
        }
        if self.template is not None:
            if len(images) != len(requests):
                raise ContractError(f"{len(images)} images for {len(requests)} requests")
            feed["image"] = np.stack([self._pixels(image) for image in images])
        return feed

    def images(self, tensor: NDArray[Any]) -> list[Image]:
        """The rows of an `image` output, each uint8 [H, W, 3]; ContractError if the tensor is none."""
        if tensor.dtype != np.uint8 or tensor.shape[1:] != self.output_shape:
            raise ContractError(f"{tensor.dtype} {list(tensor.shape)} is no batch of images {list(self.output_shape)}")
        return list(tensor)

    def takes_style_of(self, reader: Contract) -> bool:
        """Whether what `reader` makes of a drawing can be a style of this model."""
        styles = [control.shape for control in self.controls if control.name == STYLE]
        return reader.role == "style" and styles == [reader.output_shape]

    def draw_style(self, seed: int) -> NDArray[np.float32]:
        """The default style for seed 0, for any other the N(0, 1) vector that belongs to it (within the range)."""
        control = self.control(STYLE)
        if seed == 0:
            return control.value(control.default)
        return control.nearest(np.random.default_rng(seed).standard_normal(control.shape))

    def draw_latent(self, seed: int) -> NDArray[np.float32]:
        """The `z` that belongs to a seed, the same on every machine: `Control.draw` of NumPy's Philox(seed).

        The seed of a second one gives its `z2`.
        """
        return self.control(LATENT).draw(np.random.Generator(np.random.Philox(seed)))

    def _check_latents(self) -> None:
        """A generator has a `z`, and if it mixes, all that this takes; ControlError or ContractError."""
        latent = self.control(LATENT)
        if {MIXED, CROSSOVER}.isdisjoint(control.name for control in self.controls):
            return
        if (self.control(MIXED).shape, self.control(CROSSOVER).shape) != (latent.shape, ()):
            raise ContractError("z2 is not of the shape of z, or crossover is not a number")

    def _named(self, control: Control, given: Value) -> Value:
        if not isinstance(given, str) or control.name != STYLE:
            return given
        if given not in self.styles:
            raise ControlError(STYLE, f"no style of that name; there are {', '.join(self.styles) or 'none'}")
        return self.styles[given]

    def _pixels(self, image: Image) -> Image:
        assert self.template is not None
        if image.dtype != np.uint8 or image.shape != (self.template.height, self.template.width, 3):
            raise ContractError(f"{image.dtype} {list(image.shape)} is not an image cut by the template")
        return image


def _parsed(document: dict[str, Any]) -> dict[str, Any]:
    """The fields of a Contract out of plain JSON; lists become tuples, unknown or missing keys are refused."""
    _exactly(document, Contract)
    template = document["template"]
    if template is not None:
        _exactly(template, Template)
        document["template"] = Template(**_frozen(template))
    for control in document["controls"]:
        _exactly(control, Control)
    document["controls"] = tuple(Control(**_frozen(control)) for control in document["controls"])
    document["styles"] = _frozen(document["styles"])
    return _frozen(document)


def _exactly(document: Mapping[str, Any], kind: type) -> None:
    names = {each.name for each in fields(kind)}
    if set(document) != names:
        raise ContractError(f"{kind.__name__} has the wrong keys: {sorted(set(document) ^ names)}")


def _frozen(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _tuple(value) for key, value in document.items()}


def _tuple(value: Any) -> Any:
    return tuple(_tuple(item) for item in value) if isinstance(value, list) else value


def _agree(ports: Sequence[Port], expected: Sequence[tuple[str, str, tuple[int, ...]]], what: str) -> None:
    """Names, types and row shapes are as promised, and the batch axis is dynamic."""
    found = [(name, kind, tuple(shape[1:])) for name, kind, shape in ports]
    if found != list(expected):
        raise ContractError(f"{what} are {found}, the contract promises {list(expected)}")
    for name, _, shape in ports:
        if not shape or isinstance(shape[0], int):
            raise ContractError(f"{what}: the batch axis of {name!r} is not dynamic")
