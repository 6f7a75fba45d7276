"""training.engine.session: runs that begin from others, as those of Photo2Cartoon's groups do from those above them."""

import json
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from tests.training.toy import Config, Toy
from training.engine import session
from training.engine.errors import TrainingError
from training.engine.loop import Trainer
from training.engine.run import Run
from training.engine.session import Session

State = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """All recipes are the toy."""
    monkeypatch.setattr(session, "find", lambda name: Toy)


def state(folder: Path) -> State:
    """Of a run's newest checkpoint."""
    tensors, _ = Run(folder).state("toy") or ({}, {})
    return tensors


def begun(parent: Path, folder: Path) -> Trainer:
    """A run that begins from another and has not made a step."""
    trainer = Trainer("toy", Toy(Config()), Run(folder), Fabric(accelerator="cpu", devices=1))
    trainer.begin_from(Run(parent))
    return trainer


def of(kind: str, tensors: State) -> State:
    """Tensors of networks, averages or optimisers."""
    return {name.partition("/")[2]: value for name, value in tensors.items() if name.startswith(f"{kind}/")}


def same(left: State, right: State) -> bool:
    """Bit by bit."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_a_run_takes_the_networks_of_another_and_not_its_optimisers(tmp_path: Path) -> None:
    """Averages where there are some, whose averages begin there too; no moment of an optimiser, and no image seen."""
    Session("toy", {}, tmp_path / "parent", device="cpu").train(tmp_path)
    parent, child = state(tmp_path / "parent"), begun(tmp_path / "parent", tmp_path / "child")
    taken = child.state()
    assert of("optimisers", parent) and not of("optimisers", taken)
    assert same(of("averages", taken), of("averages", parent))
    assert same(of("networks", taken), of("networks", parent) | of("averages", parent))
    assert child.seen == 0


def test_what_begins_from_another_goes_on_as_itself(tmp_path: Path) -> None:
    """The command that begins it resumes it: from its own checkpoint, not once more from the other run's."""
    parent = tmp_path / "parent"
    Session("toy", {}, parent, device="cpu").train(tmp_path)
    for images in ("64", "128"):
        Session("toy", {"images": images}, tmp_path / "broken", device="cpu").train(tmp_path, begin_from=parent)
    Session("toy", {"images": "128"}, tmp_path / "whole", device="cpu").train(tmp_path, begin_from=parent)
    assert same(state(tmp_path / "whole"), state(tmp_path / "broken"))
    told = [json.loads(line)["images"] for line in (tmp_path / "broken" / "figures.jsonl").read_text().splitlines()]
    assert told == list(range(16, 129, 16))


def test_a_tree_of_runs_has_every_generation(tmp_path: Path) -> None:
    """All, then an age, then an age and sex: each begins where the one above it ended, whose folder stays as it was."""
    Session("toy", {}, tmp_path / "all", device="cpu").train(tmp_path)
    root = state(tmp_path / "all")
    Session("toy", {"seed": "1"}, tmp_path / "elder", device="cpu").train(tmp_path, begin_from=tmp_path / "all")
    elder = state(tmp_path / "elder")
    leaf = begun(tmp_path / "elder", tmp_path / "elder-women").state()
    assert same(of("averages", leaf), of("averages", elder)) and not same(of("averages", elder), of("averages", root))
    assert same(state(tmp_path / "all"), root)


def test_a_parent_without_a_checkpoint_is_named(tmp_path: Path) -> None:
    """Instead of a run that begins from nothing."""
    with pytest.raises(TrainingError, match="nowhere"):
        Session("toy", {}, tmp_path / "child", device="cpu").train(tmp_path, begin_from=tmp_path / "nowhere")
