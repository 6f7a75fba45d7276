"""A request and what a right answer to it is: no figure counts that was got with another answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from benchmarks.client import Answer


class Outcome(StrEnum):
    """What became of a request."""

    RIGHT = "right"
    WRONG = "wrong"
    """An answer that is not the work's: voids the measurement."""
    REFUSED = "refused"
    """503 as problem+json with Retry-After."""
    EXPIRED = "expired"
    """504 as problem+json: taken in, and not done in the time that the client gave it."""
    FAILED = "failed"
    """Any other status."""
    LOST = "lost"
    """The connection ended without an answer."""
    UNANSWERED = "unanswered"
    """No answer by the end of the measurement, though there was time for one."""
    LEFT = "left"
    """The client left on purpose."""


@dataclass(frozen=True)
class Exchange:
    """One body and how its answer must be, by one of three measures."""

    content_type: str
    body: bytes
    answers: frozenset[bytes] = frozenset()
    """The right bodies: several where a network run on more threads rounds differently."""
    member: tuple[str, float] | None = None
    """A member of a JSON body and its value, within 1e-4."""
    problem: str = ""
    """The code of the problem+json that a broken picture must get."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, path: str) -> bytes:
        """The whole HTTP request."""
        headers = {"Host": "127.0.0.1", "Content-Type": self.content_type, **self.headers}
        headers["Content-Length"] = str(len(self.body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + self.body

    def with_headers(self, headers: Mapping[str, str]) -> "Exchange":
        """The same, with more headers."""
        return replace(self, headers={**self.headers, **headers})

    def outcome(self, answer: Answer) -> Outcome:
        """Whether the answer is right, and if not, how it is wrong."""
        if self.problem and 400 <= answer.status < 500:
            return Outcome.RIGHT if json.loads(answer.body)["code"] == self.problem else Outcome.WRONG
        if answer.status == 200:
            return Outcome.RIGHT if self._holds(answer.body) else Outcome.WRONG
        if answer.header(b"content-type") != b"application/problem+json":
            return Outcome.FAILED
        if answer.status == 503 and answer.header(b"retry-after") is not None:
            return Outcome.REFUSED
        return Outcome.EXPIRED if answer.status == 504 else Outcome.FAILED

    def _holds(self, body: bytes) -> bool:
        if self.member is None:
            return body in self.answers
        name, value = self.member
        return abs(json.loads(body)[name] - value) < 1e-4


def multipart(parts: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Content type and body of a form of JPEG files."""
    boundary = "likeness-benchmark"
    sections = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n".encode()
        + file
        + b"\r\n"
        for name, file in parts.items()
    ]
    return f"multipart/form-data; boundary={boundary}", b"".join(sections) + f"--{boundary}--\r\n".encode()
