"""The training engine's images a second over those of a plain loop, and what memory both take.

    python -m benchmarks.training
    python -m benchmarks.training --full --device cuda

Both train the same networks on the same pictures, each in a process of its own, and take turns: one rests while the
other trains, so that a machine whose speed drifts does so to both. What holds a side at the end of its turn is the
stream of pictures, so that nothing of a loop is left out: reading, steps, averages, figures and reports.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from lightning_fabric import Fabric
from rich.console import Console
from torch.utils.data import DataLoader, SequentialSampler

from benchmarks import report, results
from benchmarks.plain_loops import LOOPS, Draws
from training.data.pack import Example, write
from training.data.recognition import FRAME
from training.engine.loop import Trainer
from training.engine.recipe import Recipe, Row, Stream, configured, find
from training.engine.run import Run

ENGINE, PLAIN = "engine", "plain"
SIDES = (ENGINE, PLAIN)
WIDTHS: dict[str, dict[str, Any]] = {
    "ugatit": {"size": 128, "width": 8, "discriminator_width": 4, "batch": 1},
    "stylegan2": {"size": 32, "base": 512, "most": 32, "batch": 4},
    "sphereface": {"depth": 10, "width": 16, "batch": 32},
}
"""Settings of a recipe for a machine without a device."""
TURN = {"ugatit": 2, "stylegan2": 16, "sphereface": 8}
"""Steps; a multiple of the interval of every penalty, so that all turns are of the same work."""
ENDLESS = 1 << 40

say = Console(stderr=True, markup=False, highlight=False).print


def _clocks() -> tuple[float, float]:
    """Seconds, and seconds of a core that this process took."""
    return time.perf_counter(), time.process_time()


class Over(Exception):
    """There are no more turns."""


class Paced:
    """A stream that holds who reads it at the end of each turn, and tells what it took of both clocks (stream)."""

    def __init__(self, stream: Stream, images: int, turns: Connection) -> None:
        """`images` of a turn."""
        self._stream, self._images, self._turns = stream, images, turns
        self._began: tuple[float, float] | None = None

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, place: int) -> Row:
        if place % self._images == 0:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if self._began is not None:
                began = self._began
                self._turns.send([now - then for now, then in zip(_clocks(), began, strict=True)])
            if not self._turns.recv():
                raise Over
            self._began = _clocks()
        return self._stream[place]


def engine(name: str, recipe: Recipe, folder: Path, device: str) -> None:
    """Train by the engine until the stream ends it."""
    run = Run(folder / "run")
    run.begin(name, recipe)
    Trainer(name, recipe, run, Fabric(accelerator=device, devices=1)).train(folder)


def plain(name: str, recipe: Recipe, folder: Path, device: str) -> None:
    """Train by the plain loop until the stream ends it; sums of losses are read as often as the engine's."""
    place, batch = torch.device(device), recipe.config.batch
    stream = recipe.stream(folder)
    loader = DataLoader(stream, batch, sampler=SequentialSampler(stream), pin_memory=place.type == "cuda")
    sums: dict[str, torch.Tensor] = {}
    for step, losses in enumerate(LOOPS[name](recipe, loader, place, lambda seen: Draws(batch, place)), start=1):
        sums = {key: sums.get(key, 0.0) + value for key, value in losses.items()}
        if step * batch % recipe.config.report == 0:
            say({key: float(value) for key, value in sums.items()})
            sums = {}


def side(which: str, name: str, settings: Mapping[str, Any], folder: Path, device: str, turns: Connection) -> None:
    """One side in its process: turns as they are given, then the most bytes that it had."""
    pack = folder / "pictures.pack"
    recipe = configured(find(name), settings).fitted(pack, {})
    paced = Paced(recipe.stream(pack), recipe.config.report, turns)
    recipe.stream = lambda data: paced  # type: ignore[method-assign]
    with suppress(Over):
        {ENGINE: engine, PLAIN: plain}[which](name, recipe, folder / which, device)
    turns.send(torch.cuda.max_memory_allocated() if device == "cuda" else _resident())


def _resident() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def sides(name: str, settings: Mapping[str, Any], folder: Path, device: str) -> Iterator[dict[str, Connection]]:
    """Both sides, alive and at rest."""
    started, ends = [], {}
    spawn = multiprocessing.get_context("spawn")
    for which in SIDES:
        (folder / which).mkdir()
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=side, args=(which, name, settings, folder, device, theirs), daemon=True)
        process.start()
        started.append(process)
        ends[which] = ours
    try:
        yield ends
    finally:
        for process in started:
            process.join(10)
            process.kill()


def measured(name: str, rounds: int, *, full: bool, device: str, warm_up: int = 3) -> dict[str, Any]:
    """Images a second in each turn of both sides, who begins changing; processor seconds; the most bytes of either."""
    given = {} if full else WIDTHS[name]
    batch = configured(find(name), given).config.batch
    turn = TURN[name] * batch
    plan = {**given, "images": ENDLESS, "report": turn, "checkpoint": ENDLESS, "sheet": 0, "measure": 0}
    rates: dict[str, list[float]] = {which: [] for which in SIDES}
    cpu = dict.fromkeys(SIDES, 0.0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder / "pictures.pack", pictures(name))
        with sides(name, plan, folder, device) as ends:
            for number in range(-warm_up, rounds):
                for which in SIDES if number % 2 else SIDES[::-1]:
                    ends[which].send(True)
                    seconds, processor = ends[which].recv()
                    if number >= 0:
                        rates[which].append(turn / seconds)
                        cpu[which] += processor
            for end in ends.values():
                end.send(False)
            memory = {which: end.recv() for which, end in ends.items()}
    return {"recipe": name, "settings": given, "turn": turn, "rates": rates, "cpu": cpu, "memory": memory}


def pictures(name: str) -> Iterator[Example]:
    """What a recipe learns from: smooth colours in two domains or, as aligned faces, of 16 people with a teacher."""
    random = np.random.default_rng(0)
    faces = name == "sphereface"
    size = (FRAME.width, FRAME.height) if faces else (256, 256)
    for number in range(64):
        colours = random.integers(0, 256, (8, 8, 3), np.uint8)
        image = cv2.resize(colours, size, interpolation=cv2.INTER_CUBIC)
        if faces:
            descriptor = random.standard_normal(128).astype(np.float32)
            yield Example(image, {"person": f"p{number % 16}"}, {"descriptor": descriptor})
        else:
            yield Example(image, {"domain": ("photo", "drawing")[number % 2]})


def main(
    rounds: Annotated[int, typer.Option(min=2, help="turns of each side")] = 50,
    recipes: Annotated[str, typer.Option(help="names with commas")] = ",".join(WIDTHS),
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    full: Annotated[bool, typer.Option("--full", help="networks as wide as the recipes have them")] = False,
    into: Annotated[Path | None, typer.Option(help="the result file")] = None,
) -> None:
    """Measure, print, write."""
    found = []
    for name in recipes.split(","):
        found.append(measured(name, rounds, full=full, device=device))
        say(f"{name}: done")
    place = torch.cuda.get_device_name() if device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    document = results.document("training", torch=torch.__version__, device=place, cases=found)
    results.write(into or results.path("training"), document)
    report.show([document])
    print(json.dumps(document))


if __name__ == "__main__":
    typer.run(main)
