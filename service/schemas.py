"""The HTTP surface: options of requests and bodies of answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import BadParameter
from service.imaging import Format


class Options(BaseModel):
    """Base of the options of a route."""

    @classmethod
    def parse(cls, options: dict[str, Any]) -> Self:
        """The options; BadParameter says which are wrong and why."""
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            faults = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
            detail = "; ".join(f"{name}: {message}" for name, message in faults)
            raise BadParameter(detail, fields=[name for name, _ in faults]) from None


class TranslateOptions(Options):
    """Options of POST /translate. Any other name is a control of the model (GET /models), or refused."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(None, description="which translator draws; GET /models lists them")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        0, description="0 draws in the model's default style, any other number in one of its own; `style` wins over it"
    )
    faces: Literal["largest", "all"] = Field("largest", description="which faces are drawn")
    output: Literal["crop", "photo"] = Field(
        "crop", description="the drawn face alone, or the whole photo with every drawn face laid back into it"
    )
    format: Format | None = Field(None, description="format of the pictures; wins over Accept")
    quality: Annotated[int, Field(ge=1, le=100)] = Field(90, description="of JPEG and WebP")

    @property
    def controls(self) -> dict[str, Any]:
        """What is left for the model's controls."""
        return self.model_extra or {}


class VerifyOptions(Options):
    """Options of POST /verify."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="which encoder compares; GET /models lists them")
    far: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.01, description="the false-accept rate to decide at: one of those that the encoder was calibrated for"
    )


class Box(BaseModel):
    """A rectangle in pixels of the upright picture; it may reach beyond the picture's edges."""

    x: int
    y: int
    width: int
    height: int


class FoundFace(BaseModel):
    """A face that was found."""

    box: Box
    score: float = Field(description="of the detector; higher is surer")
    landmarks: list[tuple[float, float]] = Field(
        description="pixels (x, y): eye left of the picture, eye right, nose tip, mouth corner left, mouth corner right"
    )


class DrawnFace(FoundFace):
    """A face that was drawn."""

    similarity: float | None = Field(description="cosine between photo and drawing, -1..1; null without an encoder")
    image: str | None = Field(description="base64 of the drawn crop; null with output=photo")


class Translation(BaseModel):
    """Answer of POST /translate as JSON."""

    id: str = Field(description="the request's id")
    model: str = Field(description="name/version")
    notice: str = Field(description="what the model's makers want known first; may be empty")
    media_type: str = Field(description="of every picture in this answer")
    image: str | None = Field(description="base64 of the whole photo; null with output=crop")
    faces: list[DrawnFace] = Field(description="largest first")
    timings: dict[str, float] = Field(description="milliseconds by stage")


class Verification(BaseModel):
    """Answer of POST /verify."""

    id: str = Field(description="the request's id")
    same_person: bool = Field(description="similarity >= threshold")
    similarity: float = Field(description="cosine of the two faces, -1..1")
    threshold: float
    far: float = Field(description="share of pairs of different people that the threshold takes for one person")
    faces: list[FoundFace] = Field(description="the largest face of image1, then of image2")
    model: str = Field(description="name/version")
    notice: str = Field(description="what the model's makers want known first; may be empty")
    timings: dict[str, float] = Field(description="milliseconds by stage")


class ControlInfo(BaseModel):
    """A control that requests may set by its name."""

    name: str
    shape: list[int] = Field(description="[] is one number; a vector is a JSON list or numbers separated by commas")
    low: float | None
    high: float | None
    default: float | list[float]
    meaning: str


class ModelInfo(BaseModel):
    """A served model."""

    notice: str = Field(description="read this first; may be empty")
    name: str
    version: int
    role: str
    default: bool = Field(description="used when a request names no model")
    description: str
    licence: str
    data: list[str] = Field(description="what it was trained on")
    controls: list[ControlInfo]
    styles: list[str]
    thresholds: dict[str, float] = Field(description="false-accept rate -> cosine")
    input: list[int] | None = Field(description="height and width of the aligned face")
    digest: str = Field(description="sha256 of the file")
    provenance: dict[str, str]


class ModelList(BaseModel):
    """Answer of GET /models."""

    models: list[ModelInfo]


class ProblemDetails(BaseModel):
    """application/problem+json (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    instance: str = Field(description="names the request, as X-Request-ID does")
    detail: str | None = None
    errors: list[dict[str, str]] | None = Field(
        None, description="what in the request caused it, each as a JSON `pointer`"
    )
    retry_after: int | None = Field(None, description="seconds")
