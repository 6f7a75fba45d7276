"""The HTTP surface: options of requests and bodies of answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import BadParameter
from service.imaging import Format
from service.jobs import ItemState, JobState
from service.pipeline import Faces
from service.registry import State

SEEDS = 2**63
Seed = Annotated[int, Field(ge=0, lt=SEEDS)]


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


class PictureOptions(Options):
    """Base of the options of a route that makes pictures. Any other name is a control of the model, or refused."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(None, description="which model draws; GET /models lists them")
    format: Format | None = Field(None, description="format of the pictures; wins over Accept")
    quality: Annotated[int, Field(ge=1, le=100)] = Field(90, description="of JPEG and WebP")

    @property
    def controls(self) -> dict[str, Any]:
        """What is left for the model's controls."""
        return self.model_extra or {}


class TranslateOptions(PictureOptions):
    """Options of POST /translate."""

    seed: Seed = Field(
        0, description="0 draws in the model's default style, any other number in one of its own; `style` wins over it"
    )
    faces: Faces = Field(
        Faces.LARGEST,
        description="which faces are drawn; `aligned`: the picture is one face, cut by the model's template already",
    )
    identity: bool = Field(True, description="whether to say how much of the person is left, which takes an encoder")
    output: Literal["crop", "photo"] = Field(
        "crop", description="the drawn face alone, or the whole photo with every drawn face laid back into it"
    )


class GenerateOptions(PictureOptions):
    """Options of POST /generate."""

    seed: Seed = Field(0, description="who the first face is; the next ones are of the next seeds")
    count: Annotated[int, Field(ge=1)] = Field(1, description="how many faces; more than one are answered as JSON")
    mixing_seed: Seed | None = Field(
        None, description="whose finer features every face gets, from the layer `crossover` of the model on"
    )

    @property
    def seeds(self) -> list[int]:
        """Of every face; after the highest seed comes 0."""
        return [(self.seed + number) % SEEDS for number in range(self.count)]


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

    similarity: float | None = Field(description="cosine between photo and drawing, -1..1; null if not asked for")
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


class GeneratedFace(BaseModel):
    """A face of nobody."""

    seed: int = Field(description="with the other options the same, this face alone is of this seed")
    image: str = Field(description="base64")


class Generation(BaseModel):
    """Answer of POST /generate as JSON."""

    id: str = Field(description="the request's id")
    model: str = Field(description="name/version")
    notice: str = Field(description="what the model's makers want known first; may be empty")
    media_type: str = Field(description="of every picture in this answer")
    faces: list[GeneratedFace] = Field(description="in the order of their seeds")
    timings: dict[str, float] = Field(description="milliseconds by stage")


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


class BatchTranslation(BaseModel):
    """Answer of POST /translate/batch."""

    id: str = Field(description="the request's id")
    items: list[Translation | ProblemDetails] = Field(
        description="for each photo, in the order of the request, what /translate would answer"
    )


class JobCounts(BaseModel):
    """Photos of a job by state."""

    queued: int
    running: int
    done: int
    failed: int


class JobSummary(BaseModel):
    """A job as a whole."""

    id: str
    state: JobState = Field(description="`cancelled`: it ended before all of its photos were drawn")
    counts: JobCounts


class JobItem(BaseModel):
    """A photo of a job."""

    number: int = Field(description="its place in the request, from 0")
    state: ItemState
    url: str | None = Field(None, description="where its drawing is; absent if there is none")
    problem: ProblemDetails | None = Field(None, description="what /translate would answer; absent if it is drawn")


class JobStatus(JobSummary):
    """A job and its photos."""

    items: list[JobItem]
    expires_in: int | None = Field(None, description="seconds until it is forgotten; absent before it has ended")


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


class ModelCosts(BaseModel):
    """What a model takes where it runs, as measured when it was loaded."""

    memory: int = Field(description="bytes, about")
    seconds: dict[int, float] = Field(description="rows -> seconds of one run of so many")
    lone: float | None = Field(description="seconds of one row that may use every core; null where it never does")


class ModelInfo(BaseModel):
    """A served model."""

    notice: str = Field(description="read this first; may be empty")
    name: str
    version: int
    versions: list[int] = Field(description="in the repository, lowest first")
    state: State
    role: str
    default: bool = Field(description="used when a request names no model")
    description: str
    licence: str
    data: list[str] = Field(description="what it was trained on")
    controls: list[ControlInfo]
    styles: list[str]
    thresholds: dict[str, float] = Field(description="false-accept rate -> cosine")
    input: list[int] | None = Field(description="height and width of the aligned face")
    device: str = Field(description="where it runs: cpu, or a GPU")
    provider: str = Field(description="of ONNX Runtime")
    costs: ModelCosts
    digest: str = Field(description="sha256 of the file")
    provenance: dict[str, str]


class AbsentModel(BaseModel):
    """A model of the repository that is not in memory."""

    name: str
    versions: list[int] = Field(description="lowest first")
    state: State = Field(
        description="on-demand: the next request that names it waits until it is loaded; unloaded: not before an "
        "administrator loads it; failed: it could not be loaded"
    )
    reason: str = Field(description="why it could not be; may be empty")


class ModelList(BaseModel):
    """Answer of GET /models."""

    models: list[ModelInfo]
    absent: list[AbsentModel] = Field(description="what could be served too")


class LoadOptions(Options):
    """Options of POST /models/{name}:load."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1)] | None = Field(None, description="unset: the highest of the repository")
