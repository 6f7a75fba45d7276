from pathlib import Path

import pytest

from benchmarks.compare import Comparison, Protocol
from benchmarks.results import Ledger
from benchmarks.servers import OURS, Server
from benchmarks.workloads import Workload

WORK = Workload("photo", "C", "/translate", [])
FAST, SLOW, SLOWEST = Server("mosec", "lanes"), Server("mosec", "wide"), Server("ray", "lanes")


@pytest.fixture(name="ledger")
def ledger_(tmp_path: Path) -> Ledger:
    """Two servers in three settings, each under 1 and 8 clients in three rounds."""
    ledger = Ledger(tmp_path / "run.json", "compare")
    for server, rate in ((OURS, 40), (FAST, 30), (SLOW, 20), (SLOWEST, 10)):
        for number in range(3):
            for clients in (1, 8):
                cell = {"round": number, "workload": "photo", "server": server.name, "setting": server.setting}
                ledger.add({**cell, "clients": clients, "per_second": [rate * clients + number] * 2})
    return ledger


@pytest.fixture(name="comparison")
def comparison_(ledger: Ledger, tmp_path: Path) -> Comparison:
    """One that can start nothing: there are neither models nor environments."""
    return Comparison(ledger, Protocol(), tmp_path, tmp_path)


def test_capacity_is_the_median_round_of_the_best_load(comparison: Comparison):
    """What a server can do is neither its luckiest round nor its rate with one client; unknown ones can do nothing."""
    assert comparison.capacity("photo", OURS) == 40 * 8 + 1
    assert comparison.capacity("noop", OURS) == 0


def test_the_fastest_peers_come_in_their_best_setting(comparison: Comparison):
    """A peer takes one place, whatever its settings; the service is no peer of its own."""
    assert comparison.fastest("photo", [OURS, SLOWEST, SLOW, FAST], 2) == [FAST, SLOWEST]
    assert comparison.fastest("photo", [OURS, SLOW, FAST], 2) == [FAST]


def test_what_is_measured_is_not_measured_again(comparison: Comparison, ledger: Ledger):
    """A finished block starts no server; that this one cannot be started shows that a missing one would."""
    before = len(ledger.cells)
    comparison.closed(WORK, FAST, 2, [1, 8])
    assert len(ledger.cells) == before
    with pytest.raises(Exception, match=r"requirements|directory"):
        comparison.closed(WORK, FAST, 3, [1, 8])
