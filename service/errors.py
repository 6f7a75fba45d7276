"""What can go wrong, as domain errors, and the one table of how each looks to a client (RFC 9457). No HTTP here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


class LikenessError(Exception):
    """Base of every error that a client is told about; `fields` are JSON pointers to what caused it."""

    def __init__(self, detail: str, *, fields: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = tuple(fields)


class BadParameter(LikenessError):
    """An option that is unknown, given twice, or holds a value that it does not take."""


class MalformedBody(LikenessError):
    """A body that is not the multipart form or JSON that it says it is."""


class AmbiguousBody(LikenessError):
    """More than one picture where one is expected."""


class EmptyBody(LikenessError):
    """No picture, or one of zero bytes."""


class MalformedImage(LikenessError):
    """A picture that begins well and is truncated or corrupt."""


class BodyTimeout(LikenessError):
    """The body did not arrive in time."""


class BodyTooLarge(LikenessError):
    """More bytes than the service reads."""


class UnsupportedBody(LikenessError):
    """A Content-Type or Content-Encoding that the route does not read."""


class UnsupportedImage(LikenessError):
    """Bytes that are no picture of a supported format."""


class ImageTypeMismatch(LikenessError):
    """A picture of another format than its Content-Type says."""


class TooManyPixels(LikenessError):
    """A picture larger than the service decodes."""


class NoFaceFound(LikenessError):
    """A picture without a face."""


class FaceTooSmall(LikenessError):
    """A face with too few pixels."""


class TooManyFaces(LikenessError):
    """More faces than the service draws in one request."""


class TooManyItems(LikenessError):
    """More pictures than the service makes in one request or job."""


class JobsOff(LikenessError):
    """This service takes no jobs."""


class JobNotFound(LikenessError):
    """No job or item of that id: there never was, it is over, or it is another client's."""


class JobConflict(LikenessError):
    """An Idempotency-Key that made a job of another content."""


class ModelNotFound(LikenessError):
    """No served model of that name can do what is asked."""


class ModelControlOff(LikenessError):
    """Models are loaded and unloaded by nobody's request here."""


class ModelKept(LikenessError):
    """A model that the service does not do without."""


class ModelTooLarge(LikenessError):
    """A model that does not fit into the memory for models, whatever is unloaded for it."""


class NotAcceptable(LikenessError):
    """The Accept header leaves nothing that the answer can be."""


class Unauthenticated(LikenessError):
    """No API key, or none that the service knows."""


class Forbidden(LikenessError):
    """A client that is known and may not do this."""


class UrlNotAllowed(LikenessError):
    """A URL that the service does not fetch, or whose host has no public address."""


class FetchFailed(LikenessError):
    """A URL that may be fetched and gave no picture."""


class ComeBack(LikenessError):
    """What may well work after `retry_after` seconds."""

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ItemPending(ComeBack):
    """An item of a job that is not done yet."""


class QuotaExceeded(ComeBack):
    """More requests than this client may make: its own doing, the service has room."""


class Overloaded(ComeBack):
    """Too much waits already."""


class Draining(Overloaded):
    """The service is shutting down."""


class ModelsLoading(Overloaded):
    """The models have not run their warm-up yet."""


class ModelUnsound(ComeBack):
    """A model that cannot be loaded: not the file that was published, or none that keeps its contract."""


class DeadlineExceeded(LikenessError):
    """The request waited longer than it is worth."""


class ClientClosed(LikenessError):
    """The client has gone; nobody reads the answer, only the log does."""


@dataclass(frozen=True)
class Problem:
    """A row of the table: how an error looks to a client."""

    status: int
    code: str
    title: str

    @property
    def type(self) -> str:
        """A stable URI; it names the problem and is not meant to be fetched."""
        return f"urn:likeness:problem:{self.code}"


PROBLEMS: dict[type[Exception], Problem] = {
    BadParameter: Problem(400, "bad-parameter", "An option is not what the service takes"),
    MalformedBody: Problem(400, "malformed-body", "The body cannot be read"),
    AmbiguousBody: Problem(400, "ambiguous-body", "There is more than one picture"),
    EmptyBody: Problem(400, "empty-body", "There is no picture"),
    MalformedImage: Problem(400, "malformed-image", "The picture is truncated or corrupt"),
    Unauthenticated: Problem(401, "unauthenticated", "There is no valid API key"),
    Forbidden: Problem(403, "forbidden", "The API key does not allow this"),
    ModelControlOff: Problem(403, "model-control-off", "Requests do not load and unload models here"),
    ModelNotFound: Problem(404, "model-not-found", "There is no such model"),
    JobsOff: Problem(404, "jobs-off", "The service takes no jobs"),
    JobNotFound: Problem(404, "job-not-found", "There is no such job"),
    NotAcceptable: Problem(406, "not-acceptable", "The answer cannot have an accepted type"),
    ModelKept: Problem(409, "model-kept", "The service does not do without the model"),
    BodyTimeout: Problem(408, "body-timeout", "The body took too long to arrive"),
    JobConflict: Problem(409, "job-conflict", "The key belongs to another job"),
    ItemPending: Problem(409, "item-pending", "The item is not done yet"),
    BodyTooLarge: Problem(413, "body-too-large", "The body is too large"),
    UnsupportedBody: Problem(415, "unsupported-body-type", "The body is of an unsupported type"),
    UnsupportedImage: Problem(415, "unsupported-image-type", "This is no picture of a supported format"),
    ImageTypeMismatch: Problem(415, "image-type-mismatch", "The picture is not of the declared format"),
    TooManyPixels: Problem(422, "too-many-pixels", "The picture has too many pixels"),
    NoFaceFound: Problem(422, "no-face-found", "There is no face in the picture"),
    FaceTooSmall: Problem(422, "face-too-small", "The face has too few pixels"),
    TooManyFaces: Problem(422, "too-many-faces", "There are too many faces in the picture"),
    TooManyItems: Problem(422, "too-many-items", "There are too many pictures"),
    UrlNotAllowed: Problem(422, "url-not-allowed", "The URL is none that the service fetches"),
    # Not 502: a host that fails is no fault of the service, and proxies repeat what ends in 502.
    FetchFailed: Problem(424, "fetch-failed", "The URL gave no picture"),
    QuotaExceeded: Problem(429, "quota-exceeded", "The client made more requests than it may"),
    ClientClosed: Problem(499, "client-closed", "The client went away"),
    Overloaded: Problem(503, "overloaded", "The service has too much to do"),
    Draining: Problem(503, "draining", "The service is shutting down"),
    ModelsLoading: Problem(503, "model-loading", "The models are not ready yet"),
    ModelUnsound: Problem(503, "model-unsound", "The model cannot be served"),
    DeadlineExceeded: Problem(504, "deadline-exceeded", "The request waited too long"),
    ModelTooLarge: Problem(507, "model-too-large", "The model does not fit into the memory for models"),
}
INTERNAL = Problem(500, "internal", "Something went wrong in the service")


def problem_of(error: Exception) -> Problem:
    """The row of an error; anything that is not in the table is internal."""
    return PROBLEMS.get(type(error), INTERNAL)


def http_problem(status: int) -> Problem:
    """The problem of a bare HTTP status, such as 404 for an unknown path or 405 for a wrong method."""
    phrase = HTTPStatus(status).phrase
    return Problem(status, phrase.lower().replace(" ", "-"), phrase)


def body(problem: Problem, error: Exception | None, request_id: str) -> dict[str, Any]:
    """The members of application/problem+json; an unexpected error's text never leaves the service."""
    members: dict[str, Any] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "instance": f"urn:likeness:request:{request_id}",
    }
    if isinstance(error, LikenessError):
        members["detail"] = error.detail
        if error.fields:
            members["errors"] = [{"pointer": f"#/{field}"} for field in error.fields]
    if isinstance(error, ComeBack):
        members["retry_after"] = error.retry_after
    return members
