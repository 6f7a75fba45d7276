"""training.engine.pace: how fast a run is, and how long it waits, by a clock that the test moves."""

from pathlib import Path

import pytest
from lightning_fabric import Fabric

from tests.training.test_loop import lines
from tests.training.toy import Config, Toy
from training.engine import pace
from training.engine.loop import Trainer
from training.engine.pace import Pace
from training.engine.recipe import Row, Sheet, Stream
from training.engine.run import Run


class Clock:
    """Seconds, which pass only when somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The one that pace looks at."""
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def test_waiting_counts_and_what_is_beside_does_not(clock: Clock) -> None:
    """Two batches of 8 that come after 3 seconds and take 1: 2 images a second, three quarters of it waiting."""

    def slow() -> object:
        for number in range(2):
            clock.now += 3
            yield number

    found = Pace(0)
    for _ in found.awaited(slow()):
        clock.now += 1
        with found.beside():
            clock.now += 100
    assert found.read(16) == (2.0, 0.75)
    clock.now += 4
    assert found.read(24) == (2.0, 0.0)


class Slow(Toy):
    """The toy, whose examples take a second each, and whose sheets an hour."""

    clock: Clock

    def stream(self, data: Path) -> Stream:
        whole, clock = super().stream(data), self.clock

        class Slowed:
            def __getitem__(self, place: int) -> Row:
                clock.now += 1
                return whole[place]

        return Slowed()

    def sheet(self, *what: object) -> Sheet:
        self.clock.now += 3600
        return super().sheet(*what)


def test_a_run_that_waits_for_its_data_says_so(tmp_path: Path, clock: Clock) -> None:
    """An image a second, all of it waiting, however fast the steps are; a sheet makes no difference."""
    recipe, run = Slow(Config(sheet=16)), Run(tmp_path)
    recipe.clock = clock
    run.begin("toy", recipe)
    assert Trainer("toy", recipe, run, Fabric(accelerator="cpu", devices=1)).train(tmp_path)
    assert [(line["pace"], line["waited"]) for line in lines(tmp_path)] == [(1.0, 1.0)] * 4
