from email import message_from_bytes

import pytest

from benchmarks.client import Answer
from benchmarks.exchanges import Exchange, Outcome, multipart

PICTURE = Exchange("image/jpeg", b"photo", answers=frozenset({b"drawing"}))
REFUSAL = b"http/1.1 503\r\ncontent-type: application/problem+json\r\nretry-after: 1"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(200, b"", b"drawing"), Outcome.RIGHT),
        (Answer(200, b"", b"drawinG"), Outcome.WRONG),
        (Answer(503, REFUSAL, b"{}"), Outcome.REFUSED),
        (Answer(503, REFUSAL.replace(b"retry-after", b"date"), b"{}"), Outcome.FAILED),
        (Answer(503, REFUSAL.replace(b"problem+json", b"json"), b"{}"), Outcome.FAILED),
        (Answer(504, REFUSAL, b"{}"), Outcome.EXPIRED),
        (Answer(504, b"", b"{}"), Outcome.FAILED),
        (Answer(429, REFUSAL, b"{}"), Outcome.FAILED),
        (Answer(500, b"", b""), Outcome.FAILED),
    ],
)
def test_an_answer_is_right_to_the_byte_or_not_at_all(answer: Answer, outcome: Outcome):
    """Other bytes are wrong; only a typed 503 that says when to come back is a refusal, a typed 504 too late."""
    assert PICTURE.outcome(answer) is outcome


def test_a_broken_picture_must_get_its_own_problem():
    """Another problem is a wrong answer, and so is a drawing of what cannot be drawn."""
    broken = Exchange("image/jpeg", b"", problem="empty-body")
    assert broken.outcome(Answer(400, b"", b'{"code": "empty-body"}')) is Outcome.RIGHT
    assert broken.outcome(Answer(400, b"", b'{"code": "malformed-image"}')) is Outcome.WRONG
    assert broken.outcome(Answer(200, b"", b"drawing")) is Outcome.WRONG


def test_a_number_in_json_must_be_the_right_one():
    """A similarity is right within rounding."""
    exchange = Exchange("multipart/form-data", b"", member=("similarity", 0.5))
    assert exchange.outcome(Answer(200, b"", b'{"similarity": 0.50001}')) is Outcome.RIGHT
    assert exchange.outcome(Answer(200, b"", b'{"similarity": 0.51}')) is Outcome.WRONG


def test_a_request_says_how_long_it_is():
    """The head names path, type, length and what was added; the body follows."""
    head, _, body = PICTURE.with_headers({"X-Request-Timeout": "1"}).request("/translate").partition(b"\r\n\r\n")
    assert head.startswith(b"POST /translate HTTP/1.1\r\n") and body == b"photo"
    assert {b"Content-Type: image/jpeg", b"Content-Length: 5", b"X-Request-Timeout: 1"} <= {*head.split(b"\r\n")}


def test_a_form_holds_its_files():
    """What a mail parser reads out of the form is what went in."""
    content_type, body = multipart({"image1": b"\xff\xd8one", "image2": b"two\r\n"})
    form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts = {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}
    assert {name: part.get_payload(decode=True) for name, part in parts.items()} == {
        "image1": b"\xff\xd8one",
        "image2": b"two\r\n",
    }
