"""Which media type an answer gets (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence


def negotiate(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer that the Accept header likes best, or None if it refuses them all.

    Each offer gets the weight of the most specific range that matches it; the offers' own order settles ties. A range
    that cannot be read matches nothing; no header, or an empty one, accepts anything.
    """
    ranges = [_range(part) for part in (accept or "*/*").split(",") if part.strip()]
    best, best_weight = None, 0.0
    for offer in offers:
        weight = _weight(offer, ranges)
        if weight > best_weight:
            best, best_weight = offer, weight
    return best


def _range(part: str) -> tuple[str, float]:
    """Media range in lower case and its q, 0 if that is no number within 0..1."""
    media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return media_range, 0.0
            return media_range, weight if 0 <= weight <= 1 else 0.0
    return media_range, 1.0


def _weight(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    for candidate in (offer, offer.partition("/")[0] + "/*", "*/*"):
        weights = [weight for media_range, weight in ranges if media_range == candidate]
        if weights:
            return max(weights)
    return 0.0
