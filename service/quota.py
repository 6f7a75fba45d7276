"""How often, and how much at once: quotas of clients, with the clock passed in. For one thread, the event loop's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from service.errors import QuotaExceeded

# Rounding of a clock's float must not make a client wait once more when its time has come.
_EPSILON = 1e-6


class TokenBucket:
    """Refills with `rate` tokens a second up to `burst`, and is full at first.

    What is taken may be more than what is there: that is a debt which is waited for later. So in any s seconds in which
    takes wait for a token, less than burst + rate * s + the largest take go out.
    """

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.rate, self.burst = rate, burst
        self._level, self._at = float(burst), now

    def level(self, now: float) -> float:
        """Tokens that are there; below zero is debt."""
        return min(self.burst, self._level + self.rate * max(0.0, now - self._at))

    def wait(self, now: float) -> float:
        """Seconds until a token is there, 0 if one is."""
        missing = 1 - self.level(now)
        return missing / self.rate if missing > _EPSILON else 0.0

    def take(self, now: float, tokens: int = 1) -> None:
        """Take `tokens`, whether they are there or not."""
        self._level, self._at = self.level(now) - tokens, max(now, self._at)


class Quota:
    """What one client may do: `rate` requests a second with bursts, and `concurrency` in work; None: no limit."""

    def __init__(
        self,
        rate: float | None,
        burst: int | None = None,
        concurrency: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bucket = None if rate is None else TokenBucket(rate, burst or math.ceil(rate), clock())
        self._concurrency = concurrency
        self._in_work = 0
        self._clock = clock

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A token, and a place until the block ends; QuotaExceeded, which costs nothing, if one of them is missing."""
        if self._concurrency is not None and self._in_work >= self._concurrency:
            raise QuotaExceeded(f"this key may have {self._concurrency} requests in work")
        if self._bucket:
            now = self._clock()
            if wait := self._bucket.wait(now):
                raise QuotaExceeded(
                    f"this key may make {self._bucket.rate:g} requests a second", retry_after=math.ceil(wait)
                )
            self._bucket.take(now)
        self._in_work += 1
        try:
            yield
        finally:
            self._in_work -= 1

    def charge(self, tokens: int) -> None:
        """Take more tokens for a request that was admitted: it is never refused, later ones wait longer."""
        if self._bucket:
            self._bucket.take(self._clock(), tokens)

    @property
    def headers(self) -> Mapping[str, str]:
        """RateLimit-Policy and RateLimit, as in draft-ietf-httpapi-ratelimit-headers-11.

        r is what is there, t the seconds until one more is, and so never later than Retry-After.
        """
        policies, limits = [], []
        if bucket := self._bucket:
            level = bucket.level(self._clock())
            remaining = max(0, math.floor(level + _EPSILON))
            seconds = math.ceil((remaining + 1 - level) / bucket.rate - _EPSILON)
            policies.append(f'"default";q={bucket.burst};w={math.ceil(bucket.burst / bucket.rate)}')
            limits.append(f'"default";r={remaining};t={max(0, seconds)}')
        if self._concurrency is not None:
            policies.append(f'"concurrency";q={self._concurrency};qu="concurrent-requests"')
            limits.append(f'"concurrency";r={self._concurrency - self._in_work}')
        return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(limits)}
