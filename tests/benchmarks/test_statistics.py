import numpy as np
import pytest

from benchmarks.statistics import growth, percentiles, rate, ratio


def test_percentiles_are_milliseconds():
    """Of 1 to 100 ms the median is between 50 and 51, and the largest is the largest."""
    found = percentiles(np.arange(1, 101) / 1000)
    assert (found["p50"], found["p90"], found["max"]) == pytest.approx((50.5, 90.1, 100.0))
    assert found["p99"] == pytest.approx(99.01)


def test_nothing_measured_has_no_percentiles():
    """A server that never answers is no crash, and no zero either."""
    assert percentiles([]) == {}


def test_steady_rates_have_a_sure_ratio():
    """Where every second of every round is alike, the interval is the ratio itself."""
    assert ratio([[30] * 5] * 3, [[20] * 5] * 3) == (1.5, 1.5, 1.5)


def test_the_interval_holds_the_ratio_and_knows_of_rounds():
    """A round that went differently for one side widens the interval far beyond the spread of seconds."""
    middle, low, high = ratio([[30, 31, 29], [30, 29, 31], [20, 19, 21]], [[20, 21, 19]] * 3)
    assert low < middle < high
    assert low < 1.1 and high > 1.45


def test_interleaved_rounds_share_what_the_machine_did():
    """Where both sides halve in the same round, their ratio is as sure as before."""
    _, low, high = ratio([[30] * 3, [15] * 3, [30] * 3], [[20] * 3, [10] * 3, [20] * 3])
    assert low == pytest.approx(1.5) and high == pytest.approx(1.5)


def test_the_rate_is_over_all_rounds():
    """Answers a second."""
    assert rate([[1, 2], [3, 6]]) == 3.0


def test_growth_is_as_sure_as_its_samples():
    """Of what does not change nothing is in doubt; of noise around one value the interval holds zero."""
    assert growth([5.0] * 10 + [9.0] * 80 + [12.0] * 10) == (3.0, 3.0)
    low, high = growth(np.random.default_rng(1).normal(300, 15, 360))
    assert low < 0 < high < 15
