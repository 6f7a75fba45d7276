"""What was found: a line of JSON for each variant, and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.engine.drafts import drafted
from training.evaluation.ablations.variants import Variant
from training.metrics.interval import Interval

LINES = "ablations.jsonl"
"""The file beside the runs."""
COLUMNS = {
    "paint": ("detected", "id_kept", "id_distance", "repaint", "flatness", "sharpness", "colour"),
    "warp": ("explained", "folded", "exaggeration", "detected", "id_kept", "id_distance"),
}
"""Of the tables, by part; the lines have all figures."""


def line(variant: Variant, found: Mapping[str, Interval]) -> str:
    """JSON without a line break; each figure as [value, low, high]."""
    ends = {name: [round(end, 4) for end in (each.value, each.low, each.high)] for name, each in found.items()}
    return json.dumps({"variant": variant.name, "figures": ends})


def add(path: Path, variant: Variant, found: Mapping[str, Interval]) -> None:
    """A line more in the file, which is whole whenever somebody interrupts."""
    before = path.read_text() if path.exists() else ""
    with drafted(path) as draft:
        draft.write_text(before + line(variant, found) + "\n")


def figures(path: Path) -> Mapping[str, Mapping[str, Interval]]:
    """Of each variant that has a line in the file."""
    lines = map(json.loads, path.read_text().splitlines() if path.exists() else [])
    return {each["variant"]: {name: Interval(*ends) for name, ends in each["figures"].items()} for each in lines}


def table(variants: Sequence[Variant], known: Mapping[str, Mapping[str, Interval]], columns: Sequence[str]) -> str:
    """Markdown: a row for each variant that has figures, with intervals."""
    rows = [["variant", "what it asks", *columns], ["---"] * (len(columns) + 2)]
    for variant in variants:
        if found := known.get(variant.name):
            rows.append(
                [variant.name, variant.question, *(f"{found[name]:.3f}" if name in found else "-" for name in columns)]
            )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
