"""The measurements of a comparison as tables. A cell is one of them; its rounds belong together."""

from collections.abc import Sequence
from typing import Any

from benchmarks.statistics import rate, ratio
from benchmarks.tables import Table, median, megabytes, milliseconds, number

OURS = "likeness"
OURS_BOTH = (OURS, "likeness x 2")
"""One process, and two: peers have at most two settings as well."""
NO_SERVERS = ("raw", "static")
GOALS = ("what", "goal", "measured", "held")
TITLES = {
    "noop": "A: no-op model",
    "aligned": "B: aligned crop",
    "photo": "C: photo mix",
    "example": "C as examples write it",
    "verify": "/verify",
}

Cell = dict[str, Any]
Cells = list[Cell]


def line(cell: Cell) -> str:
    """One measurement, while others are still to come."""
    asked = f"{cell['clients']} clients" if cell.get("clients") else f"{cell['load']:g} x {cell['capacity']:.1f}/s"
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in cell["outcomes"].items())
    p50, p99 = (milliseconds(cell["latency"].get(name)) for name in ("p50", "p99"))
    who = f"{cell['workload']} {_label(cell)}, {asked}"
    return f"{who}: {rate([cell['per_second']]):.1f}/s, p50 {p50} ms, p99 {p99} ms ({outcomes})"


def tables(document: dict[str, Any]) -> list[Table]:
    """Whether the goals are met; then for each workload closed loops and arrivals; then what servers take at rest."""
    cells: Cells = document["cells"]
    found = [goals(cells, document["footprints"])]
    for workload, title in TITLES.items():
        closed, arrivals = _closed(cells, workload), _open(cells, workload)
        found.append(_rates(title, closed))
        if workload == "example":
            found += _ratios(f"{TITLES['photo']}, over peers as examples write it", _closed(cells, "photo"), closed)
        else:
            found += _ratios(title, closed, closed)
        found += [_latencies(title, closed), _costs(title, closed), _arrivals(title, arrivals)]
    return [*found, _footprints(document["footprints"]), _conditions(cells)]


def goals(cells: Cells, footprints: list[Cell]) -> Table:
    """What the service promises of itself, and whether it holds."""
    found = [goal for workload in TITLES for goal in _goals(workload, cells)]
    idle = [each["idle"] for each in footprints if each["server"] == OURS]
    found += [("idle after load", "< 0.5 % of a core", f"{100 * max(idle):.2f} %", max(idle) < 0.005)] if idle else []
    rows = [[what, wanted, measured, "yes" if held else "**no**"] for what, wanted, measured, held in found]
    return Table("Goals", GOALS, rows)


Goal = tuple[str, str, str, bool]


def _goals(workload: str, cells: Cells) -> list[Goal]:
    closed, title, found = _closed(cells, workload), TITLES[workload], list[Goal]()
    if workload == "example":
        what = f"{TITLES['photo']}: answers, over the best peer as examples write it, by clients"
        return _lead(what, _closed(cells, "photo"), closed, 1.3)
    found += _lead(f"{title}: answers, over the best peer, by clients", closed, closed, 1.0)
    many = _of(closed, OURS, 32)
    if many:
        spread = _spread(many)
        found.append((f"{title}: p99 / p50 at 32 clients", "<= 2", f"{spread:.2f}", spread <= 2))
    lanes = _of(closed, "raw lanes", 2)
    if workload == "aligned" and lanes:
        share = _cpu(lanes) / _cpu(_busiest(closed, OURS))
        found.append((f"{title}: requests a CPU second, of the raw loop's", ">= 95 %", f"{share:.1%}", share >= 0.95))
        lone = min(_latency(_of(closed, f"raw {setting}", 1), "p50") or 0.0 for setting in ("narrow", "wide"))
        factor = (_latency(_of(closed, OURS, 1), "p50") or 0.0) / lone
        found.append((f"{title}: a lone request, over the raw loop", "<= 1.05", f"{factor:.3f}", factor <= 1.05))
    for load in (2.0, 4.0):
        overload = [cell for cell in _open(cells, workload) if cell["server"] == OURS and cell["load"] == load]
        found += _overload_goals(f"{title}: {load:g} x overload", overload) if overload else []
    return found


def _lead(what: str, ours: Cells, theirs: Cells, wanted: float) -> list[Goal]:
    """Answers a second over those of the best peer, each in its best setting; held where the interval reaches it."""
    figures, held = list[str](), True
    for count in _counts(theirs):
        mine, best = _best(ours, OURS_BOTH, count), _best(theirs, _peers(theirs), count)
        if mine and best:
            middle, low, high = ratio(_rounds(mine), _rounds(best))
            figures.append(f"{count}: {middle:.2f} ({low:.2f}-{high:.2f}) {best[0]['server']}")
            held = held and high >= wanted
    return [(what, f">= {wanted:g}", ", ".join(figures), held)] if figures else []


def _overload_goals(what: str, cells: Cells) -> list[Goal]:
    share = _good(cells) / cells[0]["capacity"]
    neither = _count(cells, "expired", "failed", "lost", "unanswered")
    refusal = median(cell["refusal"].get("p50") for cell in cells) or 0.0
    recovery = max(cell["recovery"] for cell in cells)
    return [
        (f"{what}: good answers, of the peak", ">= 95 %", f"{share:.1%}", share >= 0.95),
        (f"{what}: neither answered nor refused", "0", str(neither), neither == 0),
        (f"{what}: median refusal", "< 20 ms", f"{refusal:.1f} ms", refusal < 20),
        (f"{what}: recovered after", "<= 5 s", f"{recovery:.1f} s", recovery <= 5),
    ]


# Tables


def _rates(title: str, cells: Cells) -> Table:
    counts = _counts(cells)
    rows = [
        [label, *(number(rate(_rounds(found)), 1) if (found := _of(cells, label, count)) else "" for count in counts)]
        for label in _labels(cells)
    ]
    return Table(f"{title}: right answers a second, by clients", ["server", *map(str, counts)], rows)


def _ratios(title: str, ours: Cells, theirs: Cells) -> list[Table]:
    """Over the best setting of each peer."""
    found = []
    for label in OURS_BOTH:
        counts = [count for count in _counts(theirs) if _of(ours, label, count)]
        peers = _peers(theirs) if counts else []
        rows = [
            [name, *(_ratio(_of(ours, label, count), _best(theirs, [name], count)) for count in counts)]
            for name in peers
        ]
        found.append(Table(f"{title}: {label} over peer, with 95 % interval", ["peer", *map(str, counts)], rows))
    return found


def _ratio(ours: Cells, theirs: Cells) -> str:
    if not theirs or not rate(_rounds(theirs)):
        return ""
    middle, low, high = ratio(_rounds(ours), _rounds(theirs))
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def _latencies(title: str, cells: Cells) -> Table:
    counts = _counts(cells)
    rows = []
    for label in _labels(cells):
        rounds = [_of(cells, label, count) for count in counts]
        spread = number(_spread(rounds[-1]), 2) if rounds[-1] else ""
        rows.append([label, *(_percentiles(found, "p50", "p90", "p99") for found in rounds), spread])
    header = ["server", *map(str, counts), *(f"p99/p50 at {count}" for count in counts[-1:])]
    return Table(f"{title}: p50 / p90 / p99 ms, by clients", header, rows)


def _costs(title: str, cells: Cells) -> Table:
    """At the number of clients at which the server answers most."""
    rows = []
    for label in _labels(cells):
        best = _busiest(cells, label)
        if not best or not rate(_rounds(best)):
            continue
        failures = _failures([cell for cell in cells if _label(cell) == label])
        figures = [number(1000 * _cpu(best), 2), number(1 / _cpu(best), 1), str(failures)]
        memory = [megabytes(median(cell[kind] for cell in best) or 0.0) for kind in ("rss", "pss")]
        rows.append([label, str(best[0]["clients"]), *figures, *memory])
    header = ["server", "clients", "CPU ms a request", "requests a CPU second", "failures anywhere", "RSS MB", "PSS MB"]
    return Table(f"{title}: what an answer takes, where the server answers most", header, rows)


def _arrivals(title: str, cells: Cells) -> Table:
    rows = []
    for label in _labels(cells):
        of_it = [cell for cell in cells if _label(cell) == label]
        for load in sorted({cell["load"] for cell in of_it}):
            found = [cell for cell in of_it if cell["load"] == load]
            if not _count(found, "wrong"):
                rows.append([label, *_arrival(found)])
    header = ["server", "asked for", "offered/s", "good/s", "of its peak", "refused", "neither", "p50 / p99 ms"]
    header += ["refusal p50 ms", "recovery s"]
    return Table(f"{title}: Poisson arrivals; good is an answer within 1 s", header, rows)


def _arrival(cells: Cells) -> list[str]:
    due = sum(sum(cell["outcomes"].values()) for cell in cells)
    good, capacity = _good(cells), cells[0]["capacity"]
    return [
        f"{cells[0]['load']:g} x {capacity:.1f}/s",
        number(due / sum(cell["seconds"] for cell in cells), 1),
        number(good, 1),
        f"{good / capacity:.0%}",
        f"{_count(cells, 'refused') / max(1, due):.0%}",
        str(due - _count(cells, "refused", "right")),
        _percentiles(cells, "p50", "p99"),
        number(median(cell["refusal"].get("p50") for cell in cells), 1),
        number(max((cell["recovery"] for cell in cells if "recovery" in cell), default=None), 1),
    ]


def _footprints(footprints: list[Cell]) -> Table:
    rows = [
        [
            _label(each),
            number(each["start_seconds"], 1),
            number(100 * each["idle"], 2),
            str(each["processes"]),
            megabytes(each["rss"]),
            megabytes(each["pss"]),
        ]
        for each in sorted(footprints, key=_rank)
    ]
    header = ["server", "start s", "idle % of a core", "processes", "RSS MB", "PSS MB"]
    return Table(f"At rest, after {TITLES['photo']}", header, rows)


def _conditions(cells: Cells) -> Table:
    """How far the figures are to be trusted."""
    foreign = sorted(cell["foreign"] for cell in cells)
    rows = [
        ["measurements", str(len(cells))],
        ["wrong answers; each voids its measurement", str(_count(cells, "wrong"))],
        ["of the machine taken by others, median and most", f"{foreign[len(foreign) // 2]:.1%}, {foreign[-1]:.1%}"],
        ["of a core taken by the load generator, most", f"{max(c['client_cpu'] / c['seconds'] for c in cells):.0%}"],
    ]
    return Table("Conditions", ["", ""], rows)


# Selection


def _closed(cells: Cells, workload: str) -> Cells:
    return [cell for cell in cells if cell["workload"] == workload and cell.get("clients")]


def _open(cells: Cells, workload: str) -> Cells:
    return [cell for cell in cells if cell["workload"] == workload and cell.get("load")]


def _label(cell: Cell) -> str:
    return f"{cell['server']} {cell['setting']}".strip()


def _rank(cell: Cell) -> tuple[int, str]:
    """Ours, then peers, then what is no server."""
    return (0 if cell["server"] == OURS else 1 + (cell["server"] in NO_SERVERS)), _label(cell)


def _labels(cells: Cells) -> list[str]:
    return list(dict.fromkeys(_label(cell) for cell in sorted(cells, key=_rank)))


def _counts(cells: Cells) -> list[int]:
    """Of clients; what only loops without a server were measured at has no column."""
    return sorted({cell["clients"] for cell in cells})


def _of(cells: Cells, label: str, clients: int) -> Cells:
    """The rounds of one measurement; none if an answer was wrong."""
    found = [cell for cell in cells if _label(cell) == label and cell["clients"] == clients]
    return [] if _count(found, "wrong") else sorted(found, key=lambda cell: cell["round"])


def _busiest(cells: Cells, label: str) -> Cells:
    """The rounds at the number of clients at which the server answered most."""
    measured = [found for count in _counts(cells) if (found := _of(cells, label, count))]
    return max(measured, key=lambda found: rate(_rounds(found)), default=[])


def _peers(cells: Cells) -> list[str]:
    """The servers that are not ours."""
    return sorted({cell["server"] for cell in cells} - {*OURS_BOTH, *NO_SERVERS})


def _best(cells: Cells, names: Sequence[str], clients: int) -> Cells:
    """The rounds of the server and setting that answered most."""
    labels = sorted({_label(cell) for cell in cells if cell["server"] in names})
    rounds = [_of(cells, label, clients) for label in labels]
    return max(rounds, key=lambda found: rate(_rounds(found)) if found else 0.0, default=[])


# Figures


def _rounds(cells: Cells) -> Sequence[Sequence[float]]:
    return [cell["per_second"] for cell in cells]


def _latency(cells: Cells, name: str) -> float | None:
    return median(cell["latency"].get(name) for cell in cells)


def _percentiles(cells: Cells, *names: str) -> str:
    return " / ".join(milliseconds(_latency(cells, name)) for name in names) if cells else ""


def _spread(cells: Cells) -> float:
    """p99 over p50."""
    return (_latency(cells, "p99") or 0.0) / (_latency(cells, "p50") or 1.0)


def _cpu(cells: Cells) -> float:
    """Seconds of a core for one right answer."""
    answers = sum(sum(cell["per_second"]) for cell in cells)
    return sum(cell["server_cpu"] for cell in cells) / max(1, answers)


def _good(cells: Cells) -> float:
    """A second."""
    return sum(cell["good"] for cell in cells) / sum(cell["seconds"] for cell in cells)


def _count(cells: Cells, *outcomes: str) -> int:
    return sum(cell["outcomes"].get(outcome, 0) for cell in cells for outcome in outcomes)


def _failures(cells: Cells) -> int:
    return sum(sum(cell["outcomes"].values()) for cell in cells) - _count(cells, "right")
