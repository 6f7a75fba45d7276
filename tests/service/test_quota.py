"""service.quota: no more goes out than was promised, and what is told to clients is true."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import QuotaExceeded
from service.quota import Quota, TokenBucket

RATES = st.floats(0.01, 1000)
BURSTS = st.integers(1, 50)
# Seconds between two events, and the same with a clock that steps back.
GAPS = st.lists(st.floats(0, 100) | st.floats(0, 0.1), max_size=60)
STEPS = st.lists(st.floats(-5, 100) | st.floats(0, 0.1), max_size=60)


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(RATES, BURSTS, GAPS)
def test_no_span_gives_more_than_burst_and_rate_allow(rate: float, burst: int, gaps: list[float]) -> None:
    """Of greedy requests at any times, no more than burst + rate x seconds pass between any two of them."""
    bucket, now, passed = TokenBucket(rate, burst, 0.0), 0.0, []
    for gap in gaps:
        now += gap
        if not bucket.wait(now):
            bucket.take(now)
            passed.append(now)
    for first, start in enumerate(passed):
        for last, end in enumerate(passed[first:], first):
            assert last - first + 1 <= burst + rate * (end - start) + 1e-3


@given(RATES, BURSTS, st.lists(st.tuples(st.floats(0, 100), st.integers(1, 20)), max_size=30))
def test_the_wait_is_exact(rate: float, burst: int, takes: list[tuple[float, int]]) -> None:
    """After exactly the seconds that were told a token is there, and a little earlier it is not; debts included."""
    bucket, now = TokenBucket(rate, burst, 0.0), 0.0
    for gap, tokens in takes:
        now += gap
        bucket.take(now, tokens)
    wait = bucket.wait(now)
    assert bucket.wait(now + wait) == 0
    if wait > 1e-3:
        assert bucket.wait(now + 0.99 * wait) > 0


@given(RATES, BURSTS, STEPS)
def test_a_rest_never_saves_more_than_a_burst(rate: float, burst: int, steps: list[float]) -> None:
    """Whatever the clock does, even back, the level stays at or below the burst."""
    bucket, now = TokenBucket(rate, burst, 0.0), 0.0
    for step in steps:
        now += step
        assert bucket.level(now) <= burst
        bucket.take(now)


def test_a_clock_that_steps_back_gives_nothing() -> None:
    """Stepping back and forth over the same seconds refills them once."""
    bucket = TokenBucket(1.0, 10, 100.0)
    bucket.take(100.0, 10)
    for _ in range(5):
        bucket.take(103.0, 0)
        bucket.take(100.0, 0)
    assert bucket.level(103.0) == pytest.approx(3.0)


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=40))
def test_never_more_in_work_than_the_cap(cap: int, steps: list[bool]) -> None:
    """Requests begin and end in any order; at most `cap` are inside, and one that ends frees its place."""
    quota, inside = Quota(None, concurrency=cap), []
    for begins in steps:
        if begins and len(inside) < cap:
            inside.append(quota.admitted())
            inside[-1].__enter__()
        elif begins:
            with pytest.raises(QuotaExceeded), quota.admitted():
                pass
        elif inside:
            inside.pop(0).__exit__(None, None, None)


def test_a_request_that_fails_frees_its_place() -> None:
    """An error in the block does not keep the place."""
    quota = Quota(None, concurrency=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), quota.admitted():
            raise ZeroDivisionError


def test_what_is_refused_costs_nothing() -> None:
    """A refusal for concurrency takes no token, a refusal for rate no place."""
    clock = Clock()
    quota = Quota(1.0, 2, 1, clock=clock)
    with quota.admitted():
        with pytest.raises(QuotaExceeded, match="in work"), quota.admitted():
            pass
        assert '"default";r=1;' in quota.headers["RateLimit"]
    with quota.admitted():
        pass
    with pytest.raises(QuotaExceeded, match="a second"), quota.admitted():
        pass
    assert '"concurrency";r=1' in quota.headers["RateLimit"]


def test_a_charge_is_waited_for_by_later_requests() -> None:
    """A request of 10 pictures is one more than 9; the next may come when the debt is worked off."""
    clock = Clock()
    quota = Quota(2.0, 3, clock=clock)
    with quota.admitted():
        quota.charge(9)
    with pytest.raises(QuotaExceeded) as refused, quota.admitted():
        pass
    assert refused.value.retry_after == 4  # 3 - 10 tokens, up to 1, at 2 a second
    clock.now += 4
    with quota.admitted():
        pass


@given(RATES, st.none() | BURSTS, st.none() | st.integers(1, 9), st.integers(0, 60), st.floats(0, 10))
def test_headers_are_true(rate: float, burst: int | None, concurrency: int | None, requests: int, pause: float) -> None:
    """r more requests do pass at once and none after them; t is no later than Retry-After; w is a whole second."""
    clock = Clock()
    quota = Quota(rate, burst, concurrency, clock=clock)
    for _ in range(requests):
        quota.charge(1)
    clock.now += pause
    policy, limit = quota.headers["RateLimit-Policy"], quota.headers["RateLimit"]
    assert policy.partition(",")[0].startswith('"default";q=')
    assert int(re.search(r"w=(\d+)", policy)[1]) >= 1
    remaining, seconds = map(int, re.match(r'"default";r=(\d+);t=(\d+)', limit).groups())
    assert remaining <= int(re.match(r'"default";q=(\d+)', policy)[1])
    for _ in range(remaining):
        with quota.admitted():
            pass
    with pytest.raises(QuotaExceeded) as refused, quota.admitted():
        pass
    assert max(1, seconds) <= refused.value.retry_after
    clock.now += refused.value.retry_after
    with quota.admitted():
        pass


def test_the_burst_of_a_rate_is_a_second_of_it() -> None:
    """Where no burst is given it is the rate, rounded up, and at least one."""
    for rate in (0.1, 1.0, 2.5):
        assert f"q={math.ceil(rate)};" in Quota(rate).headers["RateLimit-Policy"]
