"""service.negotiation: which media type an Accept header gets."""

import pytest

from service.negotiation import negotiate

OFFERS = ["image/jpeg", "image/png", "image/webp", "application/json"]


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (None, "image/jpeg"),
        ("", "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/png", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("image/webp, image/png;q=0.9", "image/webp"),
        ("image/webp;q=0.1, image/png;q=0.9", "image/png"),
        ("application/json, */*;q=0.5", "application/json"),
        ("image/jpeg;q=0, */*", "image/png"),
        ("image/*;q=0.2, */*;q=0.8", "application/json"),
        ("image/png;level=1", "image/png"),
        ("text/html, application/xhtml+xml, image/avif, image/webp, */*;q=0.8", "image/webp"),
        ("text/html", None),
        ("*/*;q=0", None),
        ("image/png;q=lots", None),
        ("image/png;q=nan", None),
        ("image/png;q=-1", None),
        (";;,,=", None),
    ],
)
def test_the_best_liked_offer_wins(accept: str | None, answer: str | None) -> None:
    """Specific ranges beat general ones, weights decide, order settles ties, nonsense matches nothing."""
    assert negotiate(accept, OFFERS) == answer
