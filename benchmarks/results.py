"""Result files: one for each run, with what its figures depend on."""

import json
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, commit, machine

FOLDER = ROOT / "benchmarks" / "results"

Document = dict[str, Any]


def document(benchmark: str, **content: Any) -> Document:
    """The head of a result of `python -m benchmarks.<benchmark>`, and its content."""
    head = {
        "benchmark": benchmark,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "command": shlex.join(["python", "-m", f"benchmarks.{benchmark}", *sys.argv[1:]]),
        "machine": machine(),
    }
    return {**head, **content}


def path(benchmark: str) -> Path:
    """A new file's place."""
    return FOLDER / f"{benchmark}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"


def write(path: Path, document: Document) -> None:
    """In one step, so that an interruption leaves an earlier state whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(document, indent=1) + "\n")
    draft.replace(path)


class Ledger:
    """The measurements of a run that may be interrupted: each is written down when it is made."""

    KEY = ("round", "workload", "service", "server", "setting", "clients", "load")

    def __init__(self, path: Path, benchmark: str, **content: Any) -> None:
        """What stands at `path` is gone on with; `content` is of a new one."""
        self._path = path
        fresh = {**content, "cells": [], "footprints": []}
        self.document = json.loads(path.read_text()) if path.exists() else document(benchmark, **fresh)
        self._done = {self._key(cell) for cell in self.cells}

    @property
    def cells(self) -> list[dict[str, Any]]:
        """All measurements so far."""
        found: list[dict[str, Any]] = self.document["cells"]
        return found

    def misses(self, **key: Any) -> bool:
        """Whether there is no such measurement yet."""
        return self._key(key) not in self._done

    def add(self, cell: Mapping[str, Any]) -> None:
        """A measurement, its key among its members."""
        self.cells.append(dict(cell))
        self._done.add(self._key(cell))
        write(self._path, self.document)

    def add_footprint(self, footprint: Mapping[str, Any]) -> None:
        """What a server takes at rest."""
        self.document["footprints"].append(dict(footprint))
        write(self._path, self.document)

    def _key(self, cell: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(cell.get(name) for name in self.KEY)
