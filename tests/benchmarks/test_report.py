from typing import Any

import pytest

from benchmarks import report
from benchmarks.results import document

Cell = dict[str, Any]


def cell(server: str, setting: str = "", *, clients: int = 0, load: float = 0.0, rate: int = 10, **more: Any) -> Cell:
    """A measurement of two seconds under workload B."""
    found = {"round": 0, "workload": "aligned", "server": server, "setting": setting, "seconds": 2.0}
    found |= {"per_second": [rate, rate], "outcomes": {"right": 2 * rate}, "good": 2 * rate, "refusal": {}}
    found |= {"latency": {"p50": 10.0, "p90": 15.0, "p99": 30.0, "max": 40.0}, "server_cpu": 1.0, "client_cpu": 0.1}
    found |= {"foreign": 0.01, "rss": 2e8, "pss": 1e8}
    return {**found, **({"clients": clients} if clients else {"load": load, "capacity": 10.0}), **more}


def tables(*cells: Cell) -> dict[str, list[list[str]]]:
    """Title -> rows of a comparison's report."""
    found = report.tables(document("compare", cells=list(cells), footprints=[], peers=["mosec==1"]))
    return {table.title: [list(row) for row in table.rows] for table in found}


def test_a_peer_is_compared_in_its_best_setting():
    """The ratio is over whichever of a peer's settings answered more at that number of clients."""
    found = tables(
        cell("likeness", clients=8, rate=30),
        cell("mosec", "lanes", clients=8, rate=20),
        cell("mosec", "wide", clients=8, rate=10),
    )
    assert found["B: aligned crop: likeness over peer, with 95 % interval"] == [["mosec", "1.50 (1.50-1.50)"]]


def test_the_best_peer_is_what_is_to_be_beaten():
    """The goal is over whichever peer answered most, by whichever of the service's two settings answered more."""
    found = tables(
        cell("likeness", clients=8, rate=15),
        cell("likeness x 2", clients=8, rate=19),
        cell("mosec", "lanes", clients=8, rate=20),
        cell("ray", "wide", clients=8, rate=10),
    )["Goals"]
    assert found == [
        ["B: aligned crop: answers, over the best peer, by clients", ">= 1", "8: 0.95 (0.95-0.95) mosec", "**no**"]
    ]


def test_a_wrong_answer_voids_its_measurement():
    """A server that gave one answer that is not the work's has no rate at all there, and the report counts it."""
    found = tables(
        cell("likeness", clients=8),
        cell("mosec", "lanes", clients=8, rate=99, outcomes={"right": 197, "wrong": 1}),
    )
    assert ["mosec lanes", ""] in found["B: aligned crop: right answers a second, by clients"]
    assert ["wrong answers; each voids its measurement", "1"] in found["Conditions"]


def test_goals_are_held_or_not():
    """Efficiency, tails and overload are held against the goals that the project set itself."""
    refused = {"outcomes": {"right": 19, "refused": 20, "failed": 1}, "good": 19, "recovery": 6.0}
    found = tables(
        cell("likeness", clients=1, rate=9),
        cell("likeness", clients=32),
        cell("raw", "lanes", clients=2, server_cpu=0.9),
        cell("raw", "narrow", clients=1),
        cell("raw", "wide", clients=1, latency={"p50": 9.8}),
        cell("likeness", load=2.0, **refused, refusal={"p50": 4.0}),
    )["Goals"]
    held = {row[0].removeprefix("B: aligned crop: "): (row[2], row[3]) for row in found}
    assert held["p99 / p50 at 32 clients"] == ("3.00", "**no**")
    assert held["requests a CPU second, of the raw loop's"] == ("90.0%", "**no**")
    assert held["a lone request, over the raw loop"] == ("1.020", "yes")
    assert held["2 x overload: good answers, of the peak"] == ("95.0%", "yes")
    assert held["2 x overload: neither answered nor refused"] == ("1", "**no**")
    assert held["2 x overload: median refusal"] == ("4.0 ms", "yes")
    assert held["2 x overload: recovered after"] == ("6.0 s", "**no**")


def test_markdown_has_a_cell_for_every_column():
    """Every line of every table is as wide as its header, and says how it was measured."""
    cells = [
        cell("likeness", clients=1),
        cell("mosec", "lanes", clients=8),
        cell("mosec", "lanes", load=4.0, recovery=8.0),
    ]
    text = report.markdown(document("compare", cells=cells, footprints=[], peers=["mosec==1"]))
    assert "peers: mosec==1" in text
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert blocks and all(len({line.count("|") for line in block}) == 1 for block in blocks)


def test_soak_and_leaving_have_their_tables():
    """What grew, and what was worked for nobody, in numbers of their files."""
    grown = {"second_tenth": 300e6, "last_tenth": 301e6, "growth": 1e6, "most": 310e6}
    soaked = {"clients": 4, "mix": {"640 x 480": 10}, "broken_every": 10, "rss": grown, "files": {**grown, "most": 9}}
    samples = [{"rss": 300e6}] * 50 + [{"rss": 301e6}] * 50
    (soak,) = report.tables(document("soak", cell=cell("likeness", clients=4), samples=samples, **soaked))
    assert ["growth from the second tenth to the last, with 95 % interval", "+1.0 MB (+1.0 to +1.0)"] in soak.rows
    left = cell("likeness", clients=8, outcomes={"right": 70, "left": 30}, worked=10.0, wasted=0.1)
    parts = {"photo": {"leaving": left, "staying": cell("likeness", clients=8), "stay": 0.1}}
    (leaving,) = report.tables(document("leaving", clients=8, share=0.3, workloads=parts))
    assert leaving.rows == [["C: photo mix", "30% of 100", "10.0", "0.10", "1.00%", "10.0"]]


def test_the_stages_of_a_request_have_their_table():
    """A stage that a request does not have is an empty cell."""
    lone = {"B": {"decode": 0.5, "all": 30.0}, "/verify": {"identity": 5.0, "all": 40.0}}
    (table,) = report.tables(document("stages", requests=9, stages=["decode", "identity", "all"], milliseconds=lone))
    assert table.rows == [["B", "0.50", "", "30.00"], ["/verify", "", "5.00", "40.00"]]


def test_threads_have_their_table():
    """All threads of a server are in the sum, those that do next to nothing are not named."""
    spent = {"mosec lanes": {"python: main": 56.0, "mosec: tokio-rt-worker": 0.3, "python: python": 0.004}}
    (table,) = report.tables(document("threads", workload="aligned", clients=8, answers={}, milliseconds=spent))
    assert table.rows == [["mosec lanes", "56.30", "python: main 56.00, mosec: tokio-rt-worker 0.30"]]


def test_turns_are_compared_round_by_round():
    """A machine that halves its speed between two rounds, of both, leaves the ratio as it is; the closest counts."""
    met = {"workload": "photo", "service": "likeness", "server": "mosec", "setting": "lanes", "clients": 8}
    cells = [{**met, "round": 0, "ours": [[22], [22]], "theirs": [[20], [20]]}]
    cells.append({**met, "round": 1, "ours": [[11], [11]], "theirs": [[10], [10]]})
    cells.append({**met, "server": "ray", "round": 0, "ours": [[22, 22]], "theirs": [[2, 2]]})
    goals, table = report.tables(document("duel", cells=cells, footprints=[]))
    assert goals.rows[0][1:] == [">= 1", "8: 1.100 (1.100-1.100) mosec", "yes"]
    assert table.rows[0] == ["mosec lanes", "1.100 (1.100-1.100)"]


def test_overload_is_measured_by_the_peak_beside_it():
    """Turns of both at half the speed leave the share as it is; what came too late or not at all is counted."""
    peak = [cell("likeness", clients=8, per_second=[20, 20]), cell("likeness", clients=8, per_second=[10, 10])]
    late = {"expired": 2, "failed": 1}
    more = [
        cell("likeness", load=2.0, per_second=[19, 19], outcomes={"right": 38, "refused": 40}),
        cell("likeness", load=2.0, per_second=[9.5, 9.5], outcomes={"right": 19, "refused": 59, **late}),
    ]
    measured = {"workload": "photo", "capacity": 20.0, "turns": {"peak": peak, "2": more}}
    (table,) = report.tables(document("overload", clients=8, workloads=[measured]))
    assert table.rows[1][1:8] == ["2 x 20.0/s", "14.2", "95.0% (95.0%-95.0%)", "yes", "99", "2", "1 of 159"]


def test_training_is_compared_in_turns():
    """Both rates, their ratio against the goal, that of processor seconds, and both peaks of memory."""
    rates = {"engine": [19.0, 9.5], "plain": [20.0, 10.0]}
    case = {"recipe": "ugatit", "settings": {"size": 64}, "rates": rates, "cpu": {"engine": 9.0, "plain": 10.0}}
    case |= {"memory": {"engine": 5e8, "plain": 4e8}}
    (table,) = report.tables(document("training", torch="2.13", device="cpu, 1 threads", cases=[case]))
    row = ["ugatit (size 64)", "14.25", "15.00", "0.950 (0.950-0.950)", "**no**", "0.900", "500", "400"]
    assert table.rows == [row]


def test_the_tables_go_between_the_marks():
    """The rest of the page stays, a second time too; a page without marks is refused."""
    page = f"Before.\n{report.BEGIN}\nold\n{report.END}\nAfter.\n"
    once = report.placed(page, "new")
    assert once == report.placed(once, "new")
    assert once.startswith("Before.\n") and once.endswith("\nAfter.\n") and "old" not in once
    with pytest.raises(ValueError, match="page"):
        report.placed("Nothing.", "new")
