"""The tables of result files, so that no figure is typed by hand.

python -m benchmarks.report benchmarks/results/*.json
python -m benchmarks.report RESULTS --into benchmarks/README.md      (between its two marks)
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import cells
from benchmarks.exchanges import Outcome
from benchmarks.statistics import growth, rate, ratio
from benchmarks.tables import Table, median, megabytes, milliseconds, number

ENGINE_GOAL = 0.97
BEGIN, END = "<!-- report: begin -->", "<!-- report: end -->"

Document = dict[str, Any]


def tables(document: Document) -> list[Table]:
    """All tables of a result that have anything in them."""
    return [table for table in KINDS[document["benchmark"]](document) if table.rows]


def show(documents: Iterable[Document]) -> None:
    """In the terminal."""
    for document in documents:
        for table in tables(document):
            Console(width=140).print(table.rich())


def markdown(document: Document) -> str:
    """A paragraph on how it was measured, and the tables."""
    machine = document["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    facts = [
        f"`{document['command']}` at {document['commit']}, {document['at'][:10]}",
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory'] / 2**30:.0f} GB, {machine['system']}",
        f"Python {machine['python']}, {packages}",
        *([f"peers: {', '.join(document['peers'])}"] if "peers" in document else []),
    ]
    return "\n\n".join(["; ".join(facts) + ".", *(table.markdown() for table in tables(document))])


def placed(page: str, text: str) -> str:
    """The page with `text` between its marks; ValueError if it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN} and {END} in the page")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def soak(document: Document) -> list[Table]:
    """Requests, and what grew."""
    cell, memory, files = document["cell"], document["rss"], document["files"]
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in cell["outcomes"].items())
    tenths = [memory["second_tenth"], memory["last_tenth"], memory["most"]]
    rows = [
        ["minutes; clients", f"{cell['seconds'] / 60:g}; {document['clients']}"],
        ["requests: what became of them", f"{sum(cell['outcomes'].values())}: {outcomes}"],
        ["p50; p99 ms", "; ".join(milliseconds(cell["latency"].get(name)) for name in ("p50", "p99"))],
        ["RSS MB: median of the second tenth; of the last; most", "; ".join(f"{size / 1e6:.1f}" for size in tenths)],
        ["growth from the second tenth to the last, with 95 % interval", _growth(document)],
        ["open files: the same", f"{files['second_tenth']:g}; {files['last_tenth']:g}; {files['most']:g}"],
    ]
    sizes = ", ".join(f"{count} of 10 {size}" for size, count in document["mix"].items())
    return [Table(f"Soak: photos ({sizes}), every {document['broken_every']}th request broken", ["", ""], rows)]


def _growth(document: Document) -> str:
    low, high = growth([sample["rss"] for sample in document["samples"]])
    return f"{document['rss']['growth'] / 1e6:+.1f} MB ({low / 1e6:+.1f} to {high / 1e6:+.1f})"


def leaving(document: Document) -> list[Table]:
    """What was worked for nobody."""
    rows = []
    for workload, parts in document["workloads"].items():
        left, staying = parts["leaving"], parts["staying"]
        asked = sum(left["outcomes"].values())
        share = f"{left['outcomes'].get('left', 0) / asked:.0%} of {asked}"
        worked = [f"{left['worked']:.1f}", f"{left['wasted']:.2f}", f"{left['wasted'] / left['worked']:.2%}"]
        rows.append([cells.TITLES[workload], share, *worked, milliseconds(staying["latency"]["p50"])])
    header = ["workload", "left", "work s", "wasted s", "wasted", "p50 ms where nobody leaves"]
    return [
        Table(f"{document['clients']} clients, of whom {document['share']:.0%} leave while they wait", header, rows)
    ]


def stages(document: Document) -> list[Table]:
    """Where a lone request's time goes."""
    order = document["stages"]
    rows = [[name, *(number(row.get(stage), 2) for stage in order)] for name, row in document["milliseconds"].items()]
    title = f"Milliseconds of a lone request by stage, medians of {document['requests']}"
    return [Table(title, ["request", *order], rows)]


def loading(document: Document) -> list[Table]:
    """How fast a run is given pictures."""
    rows = [[workers, number(pace, 0), number(1000 / pace, 2)] for workers, pace in document["pictures"].items()]
    title = f"Pictures of {document['side']} pixels ({document['bytes_each'] / 1000:.0f} kB) from a pack"
    return [Table(title, ["workers", "pictures/s", "ms each"], rows)]


def threads(document: Document) -> list[Table]:
    """Milliseconds of a core for an answer, by thread; what is less than a hundredth of one is left out."""
    rows = []
    for label, times in document["milliseconds"].items():
        named = [f"{thread} {spent:.2f}" for thread, spent in times.items() if spent >= 0.01]
        rows.append([label, f"{sum(times.values()):.2f}", ", ".join(named)])
    title = f"{cells.TITLES[document['workload']]}: processor time of an answer, {document['clients']} clients"
    return [Table(title, ["server", "all, ms", "by thread, ms"], rows)]


def duel(document: Document) -> list[Table]:
    """Whether the goals are met; then the rate of each setting of the service over that of each peer, in turns."""
    met = _over_rounds(document["cells"])
    workloads = dict.fromkeys(cell["workload"] for cell in met)
    goals = [_closest(name, [cell for cell in met if cell["workload"] == name]) for name in workloads]
    pairs = dict.fromkeys((cell["workload"], cell["service"]) for cell in met)
    tables = [_meetings(*pair, [cell for cell in met if (cell["workload"], cell["service"]) == pair]) for pair in pairs]
    return [Table("Goals, in turns", cells.GOALS, goals), *tables]


def overload(document: Document) -> list[Table]:
    """What the service still answers, of what it answers at most; and how it refuses the rest."""
    rows = []
    for measured in document["workloads"]:
        turns = dict(measured["turns"])
        most = [cell["per_second"] for cell in turns.pop("peak")]
        rows.append([cells.TITLES[measured["workload"]], "peak", f"{rate(most):.1f}", *[""] * 6])
        for multiple, met in turns.items():
            middle, low, high = ratio([cell["per_second"] for cell in met], most)
            share = f"{middle:.1%} ({low:.1%}-{high:.1%})"
            outcomes = Counter[str]()
            for cell in met:
                outcomes.update(cell["outcomes"])
            ends = (Outcome.RIGHT, Outcome.REFUSED, Outcome.EXPIRED)
            neither = outcomes.total() - sum(outcomes[end] for end in ends)
            refusal = milliseconds(median(cell["refusal"].get("p50") for cell in met))
            load = f"{multiple} x {measured['capacity']:.1f}/s"
            answers = f"{rate([cell['per_second'] for cell in met]):.1f}"
            counts = [f"{outcomes[Outcome.REFUSED]:,}", str(outcomes[Outcome.EXPIRED])]
            counts.append(f"{neither} of {outcomes.total():,}")
            rows.append(["", load, answers, share, "yes" if high >= 0.95 else "**no**", *counts, refusal])
    header = ["workload", "asked for", "answers/s", "of the peak", ">= 95 %", "refused", "expired", "neither"]
    header.append("refusal p50 ms")
    return [Table("Overload in turns with the peak, with 95 % interval", header, rows)]


def _over_rounds(met: list[Document]) -> list[Document]:
    """One cell for what was measured in several rounds: each round's seconds, of all its turns."""
    merged = dict[tuple[str, ...], Document]()
    for cell in met:
        key = tuple(cell[name] for name in ("workload", "service", "server", "setting", "clients"))
        whole = merged.setdefault(key, {**cell, "ours": [], "theirs": []})
        for side in ("ours", "theirs"):
            whole[side].append([count for turn in cell[side] for count in turn])
    return list(merged.values())


def _closest(workload: str, met: list[Document]) -> list[str]:
    """At each number of clients, the service's better setting against the peer that comes closest to it."""
    figures, held = list[str](), True
    for count in sorted({cell["clients"] for cell in met}):
        settings = defaultdict(list)
        for cell in met:
            if cell["clients"] == count:
                settings[cell["service"]].append(cell)
        closest = [min(each, key=_middle) for each in settings.values()]
        peer = max(closest, key=_middle)
        held = held and _in_turns(peer)[2] >= 1
        figures.append(f"{count}: {_interval(peer)} {peer['server']}")
    what = f"{cells.TITLES[workload]}: answers, over the best peer, by clients"
    return [what, ">= 1", ", ".join(figures), "yes" if held else "**no**"]


def _meetings(workload: str, service: str, met: list[Document]) -> Table:
    counts = sorted({cell["clients"] for cell in met})
    rows = []
    for peer in dict.fromkeys((cell["server"], cell["setting"]) for cell in met):
        own = {cell["clients"]: cell for cell in met if (cell["server"], cell["setting"]) == peer}
        rows.append([" ".join(peer).strip(), *(_interval(own[count]) if count in own else "" for count in counts)])
    title = f"{cells.TITLES[workload]}: {service} over peer in turns, with 95 % interval"
    return Table(title, ["peer", *map(str, counts)], rows)


def _in_turns(cell: Document) -> tuple[float, float, float]:
    return ratio(cell["ours"], cell["theirs"])


def _middle(cell: Document) -> float:
    return _in_turns(cell)[0]


def _interval(cell: Document) -> str:
    middle, low, high = _in_turns(cell)
    return f"{middle:.3f} ({low:.3f}-{high:.3f})"


def training(document: Document) -> list[Table]:
    """The engine's images a second over a plain loop's."""
    rows = []
    for case in document["cases"]:
        ours, theirs = ([[rate] for rate in case["rates"][side]] for side in ("engine", "plain"))
        middle, low, high = ratio(ours, theirs)
        rates = [f"{rate(rounds):.2f}" for rounds in (ours, theirs)]
        held = "yes" if middle >= ENGINE_GOAL else "**no**"
        memory = [megabytes(case["memory"][side]) for side in ("engine", "plain")]
        processor = f"{case['cpu']['engine'] / case['cpu']['plain']:.3f}"
        settings = ", ".join(f"{name} {value}" for name, value in case["settings"].items())
        name = f"{case['recipe']} ({settings or 'as it is'})"
        rows.append([name, *rates, f"{middle:.3f} ({low:.3f}-{high:.3f})", held, processor, *memory])
    goal = f">= {ENGINE_GOAL}"
    header = ["recipe", "engine images/s", "plain", "ratio, 95 % interval", goal]
    header += ["processor seconds, ratio", "engine MB", "plain MB"]
    turns = len(document["cases"][0]["rates"]["engine"])
    title = f"Training, engine and plain loop in {turns} turns each; peak memory; {document['device']}"
    return [Table(f"{title}, torch {document['torch']}", header, rows)]


KINDS: dict[str, Callable[[Document], list[Table]]] = {
    "compare": cells.tables,
    "soak": soak,
    "leaving": leaving,
    "stages": stages,
    "loading": loading,
    "duel": duel,
    "threads": threads,
    "overload": overload,
    "training": training,
}


def main(
    results: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="result files")],
    into: Annotated[Path | None, typer.Option(help="a page to put the tables into, between its marks")] = None,
) -> None:
    """Markdown of all tables."""
    text = "\n\n".join(markdown(json.loads(path.read_text())) for path in results)
    if into is None:
        print(text)
    else:
        into.write_text(placed(into.read_text(), text))


if __name__ == "__main__":
    typer.run(main)
