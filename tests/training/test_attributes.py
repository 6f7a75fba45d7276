"""training.metrics.attributes: flips of an attribute that descriptors show."""

import numpy as np
import pytest

from training.metrics.attributes import flips

RANDOM = np.random.default_rng(0)
HAS = np.arange(200) % 3 == 0


def described(has: np.ndarray) -> np.ndarray:
    """Descriptors [N, 16] far from the origin, one direction of which shows the attribute."""
    faces = 5 + RANDOM.standard_normal((len(has), 16))
    faces[:, 3] += np.where(has, 4, -4)
    return faces


def test_nothing_flips_in_a_copy() -> None:
    """And the probe is right."""
    photos = described(HAS)
    found = flips(photos, photos, HAS)
    assert found is not None and found.rate.value == 0 and found.accuracy > 0.95


def test_known_flips_are_counted() -> None:
    """All, and every other one of those that had it."""
    photos = described(HAS)
    everyone = flips(photos, described(~HAS), HAS)
    assert everyone is not None and everyone.rate.value > 0.97
    lost = HAS & (np.arange(200) % 2 == 0)
    some = flips(photos, described(HAS & ~lost), HAS)
    assert some is not None and some.rate.value == pytest.approx(lost.mean(), abs=0.02)


def test_a_probe_that_knows_nothing_says_so() -> None:
    """Its accuracy is a half where descriptors show nothing: it is asked about faces that it was not taught on."""
    found = flips(RANDOM.standard_normal((200, 64)), RANDOM.standard_normal((200, 64)), HAS)
    assert found is not None and 0.35 < found.accuracy < 0.65


def test_few_of_one_answer_are_not_enough() -> None:
    """Nothing can be taught on them."""
    rare = np.arange(200) < 10
    assert flips(described(rare), described(rare), rare) is None
