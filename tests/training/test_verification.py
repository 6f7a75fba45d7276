import numpy as np
import pytest

from training.data.errors import DataError
from training.metrics.verification import Pairs, accuracy, all_pairs, bootstrap, drawn, impostor_threshold, roc

SIMILARITY = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
SAME = np.array([True, True, False, True, False, False])


def test_a_hand_made_curve():
    """Three pairs of each kind, one out of order: the area is 8 of 9 comparisons."""
    curve = roc(SIMILARITY, SAME)
    assert curve.auc == pytest.approx(8 / 9)
    assert curve.at(0.0) == (pytest.approx(2 / 3), 0.8)
    assert curve.at(1 / 3) == (1.0, 0.6)
    assert curve.at(1.0) == (1.0, 0.4)


def test_a_threshold_accepts_no_more_impostors_than_allowed():
    """At the returned threshold, the share of accepted pairs of two people is at most the rate asked for."""
    rng = np.random.default_rng(0)
    same = rng.random(4000) < 0.2
    similarity = np.round(rng.normal(same * 1.5, 1), 1)
    for far in (0.1, 0.01, 0.001, 0.0):
        tar, threshold = roc(similarity, same).at(far)
        assert (similarity[~same] >= threshold).mean() <= far
        assert (similarity[same] >= threshold).mean() == pytest.approx(tar)


def test_an_impostor_on_top_leaves_nothing_to_accept():
    """Where the most similar pair is of two people, FAR 0 accepts no pair, by a threshold above all of them."""
    tar, threshold = roc(np.array([0.9, 0.5, 0.1]), np.array([False, True, False])).at(0.0)
    assert tar == 0 and threshold > 0.9


def test_ties_count_half():
    """Similarities that are all alike tell nothing: the area is one half."""
    assert roc(np.zeros(10), np.arange(10) < 4).auc == pytest.approx(0.5)


def test_weights_are_repetitions():
    """A pair of weight two is the same as the pair twice."""
    weights = np.array([1, 2, 1, 3, 1, 2])
    repeated = np.repeat(np.arange(6), weights)
    weighted, plain = roc(SIMILARITY, SAME, weights.astype(float)), roc(SIMILARITY[repeated], SAME[repeated])
    assert weighted.auc == pytest.approx(plain.auc)
    assert weighted.at(0.3) == pytest.approx(plain.at(0.3))


def test_one_kind_of_pairs_has_no_curve():
    """Without pairs of two people there is no false-accept rate."""
    with pytest.raises(ValueError, match="pairs"):
        roc(np.array([0.1, 0.2]), np.array([True, True]))


def test_accuracy_of_separable_and_of_meaningless_similarities():
    """Perfect where a threshold separates the kinds, about one half where similarities are noise."""
    rng = np.random.default_rng(0)
    same = np.arange(2000) % 4 == 0
    assert accuracy(same + 0.1 * rng.random(2000), same) == 1
    assert accuracy(rng.random(2000), same) == pytest.approx(0.5, abs=0.05)


def test_all_pairs_are_unordered_and_of_two():
    """n (n - 1) / 2 pairs, none of a picture with itself; same is said by the names."""
    pairs = all_pairs(5)
    assert len(pairs.left) == 10 and (pairs.left < pairs.right).all()
    persons = np.array(["a", "a", "b", "b", "b"])
    assert pairs.same(persons).sum() == 1 + 3
    assert Pairs(np.array([0]), np.array([2])).same(persons).tolist() == [False]


def test_drawn_pairs_are_half_of_one_person_and_the_same_each_time():
    """As many of each kind, none twice, whoever asks; another seed draws others, and a kind with fewer gives all."""
    persons = np.repeat(np.arange(10), 5).astype(str)
    pairs = all_pairs(len(persons))
    some = drawn(pairs, persons, 60)
    assert some.same(persons).sum() == 30 and len(set(zip(some.left, some.right, strict=True))) == 60
    assert (some.left < some.right).all()
    again, other = drawn(pairs, persons, 60), drawn(pairs, persons, 60, seed=1)
    assert np.array_equal(again.left, some.left) and np.array_equal(again.right, some.right)
    assert not np.array_equal(other.left, some.left)
    few = drawn(pairs, persons, 400).same(persons)
    assert few.sum() == 10 * 10 and (~few).sum() == 200


def test_the_interval_holds_the_figure_and_shrinks_with_people():
    """Resampling people brackets the area, and more people make it more certain."""

    def interval(people):
        rng = np.random.default_rng(1)
        persons = np.repeat(np.arange(people), 4).astype(str)
        centres = np.repeat(rng.standard_normal((people, 8)), 4, axis=0)
        rows = centres + rng.standard_normal(centres.shape)
        pairs = all_pairs(len(rows))
        similarity = (rows[pairs.left] * rows[pairs.right]).sum(1)
        (auc,) = bootstrap(lambda curve: [curve.auc], similarity, pairs, persons, rounds=100)
        return auc

    few, many = interval(8), interval(60)
    for found in (few, many):
        assert found.low <= found.value <= found.high
    assert many.high - many.low < few.high - few.low
    assert f"{few:.3f}".count("..") == 1


def few(people: int) -> tuple[np.ndarray, Pairs, np.ndarray]:
    """Noise on all pairs of three pictures of each of a few people."""
    persons = np.repeat(np.arange(people), 3).astype(str)
    pairs = all_pairs(len(persons))
    return np.random.default_rng(0).random(len(pairs.left)), pairs, persons


@pytest.mark.parametrize("people", [2, 3])
def test_a_few_people_have_an_interval(people):
    """Draws that have pairs of one kind only, which half of those of two people are, are not looked at."""
    (auc,) = bootstrap(lambda curve: [curve.auc], *few(people))
    assert auc.low <= auc.value <= auc.high


def test_one_person_is_too_few():
    """Nobody can be mistaken for somebody else: an error that says how many there are."""
    with pytest.raises(DataError, match=r"too few people for an interval \(1\)"):
        bootstrap(lambda curve: [curve.auc], *few(1))


def test_one_pair_of_a_kind_has_no_accuracy():
    """The threshold is to be decided by other pairs."""
    with pytest.raises(DataError, match=r"two pairs of each kind.*there are 1"):
        accuracy(SIMILARITY[:4], np.array([True, False, False, False]))


@pytest.mark.parametrize("far, accepted", [(0.0, 0), (0.1, 1), (0.25, 2), (1.0, 10)])
def test_an_impostor_threshold_accepts_the_share_allowed(far, accepted):
    """Of ten pairs of two people, at most the share asked for reaches the threshold."""
    similarity = np.random.default_rng(0).permutation(10) / 10
    assert (similarity >= impostor_threshold(similarity, far)).sum() == accepted
