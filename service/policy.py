"""Which work runs next, how much of it together, and what to refuse: pure functions, no thread and no clock.

Times are seconds of one monotonic clock, costs are seconds of one executor.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

HEADROOM = 0.8  # of a deadline may be predicted away: predictions err, and an answer that comes late is worth nothing
COST_MEMORY = 0.9  # weight of the past in the running mean of what a kind of request costs
UNFINISHED = 1.25  # how much more than it took a request that was given up is taken to cost
WORTH_WIDENING = 0.9  # a lone run must take less than this share of the plain one's seconds


class Priority(IntEnum):
    """What goes first: what was begun, then requests that somebody waits for, then items of batches and jobs."""

    BEGUN = 0
    INTERACTIVE = 1
    BULK = 2


@dataclass(frozen=True)
class Ticket:
    """One piece of work as the queue sees it."""

    arrived: float
    cost: float
    deadline: float = math.inf
    priority: Priority = Priority.INTERACTIVE
    key: str = ""
    """Whose it is: keys share a device evenly."""


@dataclass(frozen=True)
class Costs:
    """What a model costs on its device, measured at warm-up."""

    seconds: Mapping[int, float]
    """Rows -> seconds of one run of so many rows. The keys are the buckets; a run is never of another size."""
    lone: float | None = None
    """Seconds of one row when the run may use every core; None where a run always may (a GPU) or the result differs."""

    @property
    def row(self) -> float:
        """Seconds of one row where rows run in the best company."""
        return min(seconds / rows for rows, seconds in self.seconds.items())

    def __post_init__(self) -> None:
        if 1 not in self.seconds or not all(rows > 0 and cost > 0 for rows, cost in self.seconds.items()):
            raise ValueError("costs need a positive time for one row, and for positive numbers of rows only")


def order(tickets: Sequence[Ticket], served: Mapping[str, float]) -> list[int]:
    """Indices of `tickets`, first to run first: by priority, then whose key had least, then deadline, then arrival."""

    def rank(index: int) -> tuple[int, float, float, float]:
        ticket = tickets[index]
        return ticket.priority, served.get(ticket.key, 0.0), ticket.deadline, ticket.arrived

    return sorted(range(len(tickets)), key=rank)


def charge(served: Mapping[str, float], ticket: Ticket, waiting: Collection[str]) -> dict[str, float]:
    """What each key had after `ticket` runs, for the keys of `waiting` and the ticket's own.

    A key that was away comes back at the level of those that waited on (start-time fair queueing, Goyal et al. 1996):
    it saved up nothing. Forgetting the keys that have nothing here keeps the table as small as the queue.
    """
    here = {*waiting, ticket.key}
    level = min((served[key] for key in here if key in served), default=0.0)
    after = {key: served.get(key, level) for key in here}
    after[ticket.key] += ticket.cost
    return after


def plan(rows: int, costs: Costs) -> list[int]:
    """The buckets, largest first, that run `rows` rows in the least time; the last one may be padded."""
    best: list[tuple[float, int]] = [(0.0, 0)]
    for count in range(1, rows + 1):
        best.append(min((cost + best[max(0, count - size)][0], -size) for size, cost in costs.seconds.items()))
    buckets = []
    while rows > 0:
        size = -best[rows][1]
        buckets.append(size)
        rows -= size
    return sorted(buckets, reverse=True)


def batch(rows: int, costs: Costs) -> int:
    """How many of `rows` waiting rows to run now: a full bucket of the plan, or all if they fit one."""
    return min(rows, plan(rows, costs)[0])


def patience(rows: int, rate: float, costs: Costs) -> float:
    """Seconds worth waiting for one more row when `rows` wait and `rate` rows a second arrive; mostly 0.

    Waiting 1 / rate delays every waiting row by as much, and saves the device what a joint run saves.
    """
    if rate <= 0 or rows >= max(costs.seconds):
        return 0.0
    saved = _seconds(rows, costs) + costs.seconds[1] - _seconds(rows + 1, costs)
    return 1 / rate if saved > rows / rate else 0.0


def wide(idle: int, executors: int, waiting: int, calm: float, costs: Costs) -> bool:
    """Whether one row may use every core: nobody else wants one, and it was measured to help.

    `calm`: seconds since two executors were last busy at a time. Clients that ask in turn leave gaps between their
    requests; who finds all cores idle in such a gap would have company before its run is over.
    """
    alone = waiting == 0 and idle == executors - 1 and calm > costs.seconds[1]
    return alone and costs.lone is not None and costs.lone < WORTH_WIDENING * costs.seconds[1]


def predicted_wait(ahead: Sequence[Ticket], running: Sequence[float], executors: int, priority: Priority) -> float:
    """Seconds until new work of this priority starts; `running` are the seconds that each busy executor still needs."""
    queued = sum(ticket.cost for ticket in ahead if ticket.priority <= priority)
    if not queued and len(running) < executors:
        return 0.0
    return (queued + sum(running)) / executors


def refuses(wait: float, cost: float, budget: float) -> bool:
    """Whether work that starts after `wait` and takes `cost` would likely miss a deadline `budget` seconds away.

    What can start at once is never refused: the device has nothing better to do than to try.
    """
    return wait > 0 and wait + cost > HEADROOM * budget


def retry_after(wait: float, cost: float, budget: float) -> int:
    """Whole seconds, at least 1, after which the same request would have been admitted if nobody else came."""
    return max(1, math.ceil(wait + cost - HEADROOM * budget)) if math.isfinite(wait) else 1


def hopeless(ticket: Ticket, now: float) -> bool:
    """Whether work that could have been done when it came has waited until it cannot be: an answer would come late.

    Work that never had the time is not judged by this: if it can start at once it may surprise its prediction.
    """
    return now + ticket.cost > ticket.deadline >= ticket.arrived + ticket.cost


def learnt(known: float | None, spent: float, finished: bool) -> float:
    """What a kind of request costs, after one of them took `spent`: a running mean.

    One that was given up would have taken more. Without learning from those, a device that turned slower than it was
    would let in too much for ever, finish nothing in time, and so never learn.
    """
    if not finished:
        return max(known or 0.0, UNFINISHED * spent)
    return spent if known is None else COST_MEMORY * known + (1 - COST_MEMORY) * spent


def _seconds(rows: int, costs: Costs) -> float:
    return sum(costs.seconds[size] for size in plan(rows, costs))
