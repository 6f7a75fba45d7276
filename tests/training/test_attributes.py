"""training.metrics.attributes: what drawings keep, and flips of an attribute that descriptors show."""

import numpy as np
import pytest

from training.metrics.attributes import balanced, flips, kept

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


def test_what_is_kept_is_asked_where_the_photo_was_right() -> None:
    """Of five photos, one of them not understood, two of four drawings say what their photo says."""
    known, photos, drawings = np.array([[0, 1, 2, 2, 1], [0, 1, 2, 2, 0], [0, 1, 1, 0, 1]])
    found = kept(known, photos, drawings)
    assert found is not None and found.value == 0.5 and found.low < 0.5 < found.high
    assert kept(known, photos + 3, drawings) is None


def test_every_answer_counts_the_same() -> None:
    """Who always says the commoner of two is right about a half."""
    assert balanced(np.array([0] * 9 + [1]), np.zeros(10, int)) == 0.5
    assert balanced(np.array([3, 3, 5, 4]), np.array([3, 4, 5, 4])) == pytest.approx(2.5 / 3)
