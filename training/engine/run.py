"""A run's folder: what is trained with which settings, the newest state, and what was told on the way.

run.json                 recipe and settings; a run goes on with the same ones
latest.safetensors       networks, averages and optimisers
kept/IMAGES.safetensors  earlier states, if the recipe keeps them
figures.jsonl, events/   for people and for TensorBoard
sheets/IMAGES.jpg        pictures
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from training.engine import checkpoint
from training.engine.checkpoint import Tensors
from training.engine.errors import RunError
from training.engine.recipe import Recipe

LATEST = "latest.safetensors"
KEPT = "kept"
FACTS = "run.json"
# Settings that may differ from those that the run began with: they change nothing of what was learnt.
FREE = frozenset({"images", "parts", "report", "checkpoint", "sheet", "measure", "measured", "keep"})


class Run:
    """One folder. A run that exists already can only be gone on with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.latest = folder / LATEST

    @property
    def exists(self) -> bool:
        """Whether anything was begun here."""
        return (self.folder / FACTS).exists()

    def begin(self, name: str, recipe: Recipe) -> None:
        """Write down what the run is; RunError if the folder is another recipe's or has other settings."""
        settings = dataclasses.asdict(recipe.config)
        if self.exists:
            self._compare(name, settings)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / FACTS).write_text(json.dumps({"recipe": name, "settings": settings}, indent=1) + "\n")

    def facts(self) -> dict[str, Any]:
        """Recipe and settings; RunError if there are none."""
        try:
            found: dict[str, Any] = json.loads((self.folder / FACTS).read_text())
        except OSError as error:
            raise RunError(f"{self.folder} is no run: {error}") from error
        return found

    def save(self, name: str, tensors: Tensors, *, images: int, steps: int, keep: bool) -> None:
        """The newest state; CheckpointError, and the one before is still there."""
        facts = {"recipe": name, "images": images, "steps": steps}
        checkpoint.save(self.latest, tensors, facts)
        if keep:
            checkpoint.save(self.folder / KEPT / f"{images:09d}.safetensors", tensors, facts)

    def state(self, name: str) -> tuple[Tensors, dict[str, Any]] | None:
        """The newest state with its images and steps; None before the first one. CheckpointError, RunError."""
        if not self.latest.exists():
            return None
        tensors, facts = checkpoint.load(self.latest)
        if facts.get("recipe") != name:
            raise RunError(f"{self.latest} is a checkpoint of the recipe {facts.get('recipe')!r}, not of {name!r}")
        return tensors, facts

    def _compare(self, name: str, settings: dict[str, Any]) -> None:
        facts = self.facts()
        if facts["recipe"] != name:
            raise RunError(f"{self.folder} is a run of the recipe {facts['recipe']!r}, not of {name!r}")
        known = facts["settings"]
        for key, value in json.loads(json.dumps(settings)).items():
            if key not in FREE and known.get(key) != value:
                raise RunError(f"{self.folder} began with {key}={known.get(key)}; it cannot go on with {key}={value}")
