"""A run's folder: what is trained with which settings, the newest state, and what was told on the way.

run.json                 recipe, settings and data; a run goes on with the same ones
latest.safetensors       networks, averages and optimisers
kept/IMAGES.safetensors  earlier states, if the recipe keeps them
figures.jsonl, events/   for people and for TensorBoard
sheets/IMAGES.jpg        pictures
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.engine import checkpoint
from training.engine.checkpoint import Tensors
from training.engine.drafts import drafted
from training.engine.errors import RunError
from training.engine.recipe import ORIGINS, Plan, Recipe

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

    def begin(self, name: str, recipe: Recipe, data: Path | None = None) -> None:
        """Write down what the run is; before its first checkpoint it can still become another one.

        `data`: what it learns from, unless it does not. Raises the errors of `check`, and RunError if nothing can be
        written.
        """
        self.check(name, recipe, data)
        path, facts = self.folder / FACTS, {"recipe": name, "settings": dataclasses.asdict(recipe.config)}
        if data is not None:
            facts["data"] = {"name": data.name, "fingerprint": recipe.fingerprint(data)}
        text = json.dumps(facts, indent=1) + "\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self.exists or path.read_bytes() != text.encode():
                with drafted(path) as draft:
                    draft.write_text(text)
        except OSError as error:
            raise RunError(f"{path} could not be written: {error}") from error

    def check(self, name: str, recipe: Recipe, data: Path | None = None) -> None:
        """RunError if the folder has a run with a checkpoint, of another recipe, with other settings or of other data.

        Raises the errors of training.data.
        """
        if self.exists and self.latest.exists():
            facts = self.facts()
            self._compare(facts, name, recipe)
            known = facts["data"]
            if data is not None and known and known["fingerprint"] != (now := recipe.fingerprint(data)):
                began = f"{self.folder} began with {known['name']} ({known['fingerprint']})"
                raise RunError(f"{began}; it cannot go on with {data} ({now}). --begin-from begins another run from it")

    def facts(self) -> dict[str, Any]:
        """Recipe, settings and data; RunError if there are none, or not in the form that `begin` gives them.

        Of runs that learnt nothing, and of those from before they were kept, the data are empty.
        """
        path = self.folder / FACTS
        try:
            found = json.loads(path.read_bytes())
            facts = {"recipe": str(found["recipe"]), "settings": dict(found["settings"])}
            data = found.get("data")
            return {**facts, "data": {key: str(data[key]) for key in ("name", "fingerprint")} if data else {}}
        except OSError as error:
            raise RunError(f"{self.folder} is no run: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            what = f"{type(error).__name__}: {error}"
            raise RunError(f"{path} does not tell recipe and settings of a run ({what})") from error

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

    def averages(self, name: str) -> tuple[dict[str, Any], Mapping[str, Tensors]]:
        """The settings of the run and the averages of its networks, by name. CheckpointError, RunError."""
        settings, found = self.facts()["settings"], self.state(name)
        if found is None:
            raise RunError(f"{self.folder} has no checkpoint yet")
        return settings, checkpoint.unpacked("averages", found[0])

    def _compare(self, facts: Mapping[str, Any], name: str, recipe: Recipe) -> None:
        config = recipe.config
        if facts["recipe"] != name:
            raise RunError(f"{self.folder} is a run of the recipe {facts['recipe']!r}, not of {name!r}")
        now = _stored(dataclasses.asdict(config))
        # A setting that the recipe gained later had no other value than what is its default now, or follows from data.
        known = _stored(_defaults(config)) | {key: now[key] for key in ORIGINS} | facts["settings"]
        for key, value in now.items():
            if key not in FREE | recipe.free and known.get(key) != value:
                raise RunError(f"{self.folder} began with {key}={known.get(key)}; it cannot go on with {key}={value}")


def _defaults(config: Plan) -> dict[str, Any]:
    return {each.name: each.default for each in dataclasses.fields(config) if each.default is not dataclasses.MISSING}


def _stored(settings: dict[str, Any]) -> dict[str, Any]:
    """As they come back from a file: lists for tuples."""
    stored: dict[str, Any] = json.loads(json.dumps(settings))
    return stored
