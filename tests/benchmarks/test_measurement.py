from benchmarks.exchanges import Outcome
from benchmarks.load import Sample
from benchmarks.measurement import closed_loop, open_loop, recovery


def sample(start: float, seconds: float, outcome: Outcome = Outcome.RIGHT) -> Sample:
    """One request for the first picture."""
    return Sample(start, seconds, outcome, 0)


def test_a_closed_loop_counts_what_ends_within_the_seconds():
    """What began before counts if it ends within, in the second of its end; what ends later does not."""
    found = closed_loop([sample(-0.5, 0.6), sample(0.2, 1.0), sample(1.5, 0.6)], 2.0)
    assert found["per_second"] == [1, 1]
    assert found["outcomes"] == {"right": 2}
    assert found["latency"]["max"] == 1000.0


def test_an_open_loop_counts_what_was_due_within_the_seconds():
    """Arrivals of the settling time and of the aftermath do not count; the offered rate is that of the others."""
    found = open_loop([sample(-0.5, 0.1), sample(0.5, 3.0), sample(1.5, 0.1), sample(2.5, 0.1)], 2.0)
    assert (found["per_second"], found["offered"]) == ([1, 1], 1.0)
    assert found["good"] == 1  # the other one took more than a second


def test_only_right_answers_are_work():
    """Refusals, wrong and lost answers are counted by name, and have no part in rate and latency."""
    others = [sample(0.1, 0.01, outcome) for outcome in (Outcome.REFUSED, Outcome.WRONG, Outcome.LOST)]
    found = open_loop([sample(0.1, 0.5), *others], 1.0)
    assert (found["per_second"], found["good"]) == ([1], 1)
    assert found["outcomes"] == {"right": 1, "refused": 1, "wrong": 1, "lost": 1}
    assert (found["latency"]["p50"], found["refusal"]["p50"]) == (500.0, 10.0)


def test_a_server_has_recovered_after_its_last_late_answer():
    """Recovery is counted from the end of the overload to the last request that is not answered in time."""
    before, late, refused, fine = sample(1, 9), sample(2.5, 1.5), sample(3, 0.1, Outcome.REFUSED), sample(4, 0.1)
    assert recovery([before, late, refused, fine], 2.0) == 1.0
    assert recovery([before, fine], 2.0) == 0.0
