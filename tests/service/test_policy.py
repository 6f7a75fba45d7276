"""service.policy: the scheduler's decisions, as properties of any queue and known values of small ones."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import policy
from service.policy import HEADROOM, Costs, Priority, Ticket

seconds = st.floats(0.001, 100)
tickets = st.builds(
    Ticket,
    arrived=seconds,
    cost=seconds,
    deadline=seconds,
    priority=st.sampled_from(Priority),
    key=st.sampled_from("abc"),
)
queues = st.lists(tickets, max_size=12)
costs = st.dictionaries(st.sampled_from([2, 3, 4, 8, 16]), seconds).map(lambda more: {1: 1.0, **more}).map(Costs)

CONVOLUTIONS_ON_A_CPU = Costs({1: 0.05}, lone=0.03)
A_GPU = Costs({1: 1.0, 2: 1.1, 4: 1.5, 8: 2.6})


@given(queues, st.dictionaries(st.sampled_from("abc"), seconds))
def test_order_is_by_priority_then_share_then_deadline(queue: list[Ticket], served: dict[str, float]) -> None:
    """No ticket stands behind one of lower priority, nor behind a key that had more, nor behind a later deadline."""
    indices = policy.order(queue, served)
    assert sorted(indices) == list(range(len(queue)))
    ranks = [(t.priority, served.get(t.key, 0.0), t.deadline, t.arrived) for t in (queue[index] for index in indices)]
    assert ranks == sorted(ranks)


def test_a_greedy_key_does_not_starve_a_modest_one() -> None:
    """Of a key with a hundred requests and one with ten, ten requests each are among the first twenty."""
    queue = [Ticket(0, 1, key="greedy")] * 100 + [Ticket(1, 1, key="modest")] * 10
    served: dict[str, float] = {}
    first = []
    for _ in range(20):
        index = policy.order(queue, served)[0]
        ticket = queue.pop(index)
        served = policy.charge(served, ticket, {each.key for each in queue})
        first.append(ticket.key)
    assert (first.count("greedy"), first.count("modest")) == (10, 10)


@given(st.lists(tickets, min_size=1, max_size=30))
def test_shares_stay_within_one_ticket_of_each_other(queue: list[Ticket]) -> None:
    """While two keys both wait, what they were served differs by no more than their dearest tickets."""
    dearest = max(ticket.cost for ticket in queue)
    served: dict[str, float] = {}
    equals = [Ticket(0, ticket.cost, key=ticket.key) for ticket in queue]
    while equals:
        ticket = equals.pop(policy.order(equals, served)[0])
        waiting = {each.key for each in equals}
        served = policy.charge(served, ticket, waiting)
        shares = [served[key] for key in waiting]
        assert not shares or max(shares) - min(shares) <= dearest + 1e-6


def test_a_key_that_was_away_saved_up_nothing() -> None:
    """A key that comes new to a busy queue starts at the level of those that wait, and is then served in turn."""
    served = policy.charge({"old": 50.0}, Ticket(0, 1, key="new"), {"old"})
    assert served == {"old": 50.0, "new": 51.0}


@given(st.integers(1, 60), costs)
def test_a_plan_runs_every_row_and_no_single_bucket_is_cheaper(rows: int, table: Costs) -> None:
    """A plan has room for all rows, pads less than a bucket, and takes no longer than any one bucket over and over."""
    buckets = policy.plan(rows, table)
    assert sum(buckets) >= rows and sum(buckets) - rows < max(buckets)
    spent = sum(table.seconds[size] for size in buckets)
    assert all(spent <= cost * math.ceil(rows / size) + 1e-6 for size, cost in table.seconds.items())


@given(st.integers(1, 60), costs)
def test_a_batch_takes_at_least_one_row_and_fits_a_bucket(rows: int, table: Costs) -> None:
    """The next batch is of 1 to all waiting rows and never larger than the largest bucket."""
    assert 1 <= policy.batch(rows, table) <= min(rows, max(table.seconds))


def test_where_batches_do_not_pay_rows_run_alone() -> None:
    """On a CPU, where two rows cost twice one, a batch is one row; on a GPU three rows pad a bucket of four."""
    assert policy.batch(9, CONVOLUTIONS_ON_A_CPU) == 1
    assert policy.batch(2, Costs({1: 1.0, 2: 2.0})) in (1, 2)
    assert policy.plan(3, A_GPU) == [4] and policy.plan(9, A_GPU) == [8, 1]


@given(st.integers(1, 40), st.floats(0, 1000), costs)
def test_patience_never_costs_the_waiting_more_than_the_device_saves(rows: int, rate: float, table: Costs) -> None:
    """Waiting for another row is suggested only where rows x seconds of waiting are fewer than the seconds saved."""
    wait = policy.patience(rows, rate, table)
    assert wait >= 0
    if wait:
        saved = sum(table.seconds[size] for size in policy.plan(rows, table)) + table.seconds[1]
        saved -= sum(table.seconds[size] for size in policy.plan(rows + 1, table))
        assert wait == pytest.approx(1 / rate) and rows * wait < saved


def test_patience_is_for_devices_where_batches_pay() -> None:
    """On a CPU nothing ever waits; on a GPU one row waits for a second that comes soon, and for none that does not."""
    assert policy.patience(1, 1000.0, CONVOLUTIONS_ON_A_CPU) == 0
    assert policy.patience(1, 10.0, A_GPU) == pytest.approx(0.1)
    assert policy.patience(1, 0.5, A_GPU) == 0
    assert policy.patience(8, 1000.0, A_GPU) == 0


def test_a_lone_request_gets_every_core_and_two_get_one_each() -> None:
    """Wide runs are for an otherwise idle machine, and only where they were measured to be faster."""
    assert policy.wide(1, 2, 0, math.inf, CONVOLUTIONS_ON_A_CPU)
    assert not policy.wide(0, 2, 0, math.inf, CONVOLUTIONS_ON_A_CPU)
    assert not policy.wide(1, 2, 1, math.inf, CONVOLUTIONS_ON_A_CPU)
    assert not policy.wide(1, 2, 0, math.inf, Costs({1: 0.05}))
    assert not policy.wide(1, 2, 0, math.inf, Costs({1: 0.05}, lone=0.049))


def test_a_gap_between_two_clients_is_no_solitude() -> None:
    """Who had company within the time of a run expects it again."""
    run = CONVOLUTIONS_ON_A_CPU.seconds[1]
    assert not policy.wide(1, 2, 0, 0.9 * run, CONVOLUTIONS_ON_A_CPU)
    assert policy.wide(1, 2, 0, 1.1 * run, CONVOLUTIONS_ON_A_CPU)


@given(queues, st.lists(seconds, max_size=4), st.integers(1, 4), st.sampled_from(Priority))
def test_the_predicted_wait_is_the_work_ahead_over_the_executors(
    queue: list[Ticket], running: list[float], executors: int, priority: Priority
) -> None:
    """It is never negative, ignores work of lower priority, and is zero exactly when an executor is free."""
    running = running[:executors]
    wait = policy.predicted_wait(queue, running, executors, priority)
    ahead = [ticket for ticket in queue if ticket.priority <= priority]
    assert wait == policy.predicted_wait(ahead, running, executors, priority)
    assert (wait == 0) == (not ahead and len(running) < executors)
    assert wait <= sum(ticket.cost for ticket in ahead) + sum(running)


@given(seconds, seconds, seconds)
def test_who_comes_back_when_told_is_let_in(wait: float, cost: float, budget: float) -> None:
    """Retry-After is whole seconds after which the same request would be admitted, if it can be admitted at all."""
    later = policy.retry_after(wait, cost, budget)
    assert later >= 1
    if policy.refuses(wait, cost, budget) and cost <= HEADROOM * budget:
        assert not policy.refuses(max(0.0, wait - later), cost, budget)


def test_what_can_start_at_once_is_never_refused() -> None:
    """An idle device tries, however short the deadline."""
    assert not policy.refuses(0.0, 1.0, 0.001)
    assert policy.refuses(0.5, 1.0, 1.0)


def test_what_waited_until_it_cannot_be_done_is_hopeless() -> None:
    """Work that had the time and has it no more is hopeless; work that never had it, or still has, is not."""
    feasible, tight = Ticket(0, 1.0, deadline=2.0), Ticket(0, 1.0, deadline=0.5)
    assert not policy.hopeless(feasible, 0.9) and policy.hopeless(feasible, 1.1)
    assert not policy.hopeless(tight, 0.1)
    assert not policy.hopeless(Ticket(0, 1.0), 1e9)


@given(seconds, seconds)
def test_costs_are_learnt_from_what_was_given_up_too(known: float, spent: float) -> None:
    """A finished request moves the mean towards itself; one that was given up only ever raises it, above its own."""
    moved = policy.learnt(known, spent, finished=True)
    assert min(known, spent) <= moved * 1.000001 and moved <= max(known, spent) * 1.000001
    raised = policy.learnt(known, spent, finished=False)
    assert raised >= known and raised > spent
    assert policy.learnt(None, spent, finished=True) == spent


def test_costs_need_a_time_for_one_row() -> None:
    """A table without a bucket of one, or with a time that is not positive, is refused."""
    for table in ({2: 1.0}, {1: 0.0}, {}):
        with pytest.raises(ValueError, match="one row"):
            Costs(table)
