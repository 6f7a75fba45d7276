"""What every recipe does on toy size. The test of a recipe is a subclass with its name and its toy settings."""

import copy
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import default_collate

from export.contract import Contract
from export.parity import open_session
from tests.training.recipes.conftest import SOURCE
from training.data.pack import Example, Pack, write
from training.engine.phase import Batch, Networks, Phase, Step
from training.engine.randomness import Random, Rows
from training.engine.recipe import Recipe, configured, find
from training.engine.run import FACTS, KEPT, LATEST, Run
from training.engine.session import Session
from training.losses.adversarial import SPREAD

STEPS = 4
"""Of a phase alone, after which its loss is lower."""


def first_batch(recipe: Recipe, data: Path) -> Batch:
    """Of its stream."""
    stream = recipe.stream(data)
    found: Batch = default_collate([stream[place] for place in range(recipe.batch(0))])
    return found


def stepped(networks: Networks, batch: Batch) -> Step:
    """A step over the batch, always with the same random numbers."""
    count = len(next(iter(batch.values())))
    return Step(networks, batch, 0, Random(0, 0, Rows(0, count, count)))


def loss(phase: Phase, networks: Networks, batch: Batch) -> Tensor:
    """All of it."""
    return torch.stack([*phase.loss(stepped(networks, batch)).values()]).sum()


def pulled(network: nn.Module) -> bool:
    """Whether a gradient has come to it."""
    return any(each.grad is not None and bool(each.grad.any()) for each in network.parameters())


def every_phase_learns(recipe: Recipe, data: Path) -> None:
    """Each lowers its own loss of a batch by means of all networks that it trains, while the others stay."""
    batch, phases = first_batch(recipe, data), {phase.name: phase for phase in recipe.phases()}
    for phase in phases.values():
        torch.manual_seed(0)
        begun = recipe.networks()
        learnt = {name: copy.deepcopy(begun[name]) for name in phase.trains}
        named = [pair for network in learnt.values() for pair in network.named_parameters()]
        optimiser = phases[phase.shares or phase.name].optimiser(named)
        for _ in range(STEPS):
            optimiser.zero_grad()
            loss(phase, copy.deepcopy(begun) | learnt, batch).backward()
            assert all(map(pulled, learnt.values())), phase.name
            optimiser.step()
        before, after = (loss(phase, copy.deepcopy(each), batch) for each in (begun, begun | learnt))
        assert after < before, phase.name


class Conformance:
    """Tests of one recipe."""

    name: ClassVar[str]
    settings: ClassVar[Mapping[str, str]]
    """`images` is a multiple of two batches."""

    def test_it_resumes_exactly(self, run: Path, pack: Path, tmp_path: Path) -> None:
        """What goes on from half of a run, and begins with the step after it, ends as the run did, bit by bit."""
        broken = tmp_path / "run"
        broken.mkdir()
        half = min((run / KEPT).iterdir())
        shutil.copy(half, broken / LATEST)
        shutil.copy(run / FACTS, broken / FACTS)
        batch = self.settings["batch"]
        assert Session(self.name, {**self.settings, "report": batch}, broken, device="cpu").train(pack)
        (whole, end), (resumed, same) = (Run(each).state(self.name) for each in (run, broken))
        assert end == same and int(half.stem) < end["images"]
        assert whole.keys() == resumed.keys() and all(torch.equal(whole[key], resumed[key]) for key in whole)
        first = json.loads((broken / "figures.jsonl").read_text().splitlines()[0])
        assert first["images"] == int(half.stem) + int(batch)

    def test_every_phase_learns(self, pack: Path) -> None:
        """Each lowers its own loss of a batch by means of all networks that it trains, while the others stay.

        In a run losses of adversaries need not fall: what one learns makes the task of the other harder.
        """
        recipe = configured(find(self.name), self.settings)
        every_phase_learns(recipe, pack)

    def test_what_tells_of_sickness_is_logged(self, run: Path) -> None:
        """Every symptom is of a figure that each report has."""
        symptoms = find(self.name).symptoms
        lines = [json.loads(line) for line in (run / "figures.jsonl").read_text().splitlines()]
        assert symptoms and all(symptom.figure in line for symptom in symptoms for line in lines)

    def test_it_tells_and_shows(self, run: Path) -> None:
        """Every figure of its journal is finite, and its last sheet is a picture of several."""
        lines = [json.loads(line) for line in (run / "figures.jsonl").read_text().splitlines()]
        assert lines and all(np.isfinite(value) for line in lines for value in line.values())
        with Image.open(max((run / "sheets").iterdir())) as sheet:
            assert min(sheet.size) >= 2 * int(self.settings.get("size") or self.settings["height"])

    def test_it_is_exported(self, published: Path) -> None:
        """ONNX Runtime agrees with the averages, which is what export checks, and the file draws."""
        session = open_session(published.read_bytes())
        feed = {
            port.name: np.zeros((2, *port.shape[1:]), np.uint8 if "uint8" in port.type else np.float32)
            for port in session.get_inputs()
        }
        assert session.run(None, feed)[0].dtype == np.uint8

    def test_the_terms_of_its_data_go_with_the_model(self, published: Path) -> None:
        """The contract names the data set and that it is for research only."""
        graph = open_session(published.read_bytes())
        contract = Contract.from_metadata(graph.get_modelmeta().custom_metadata_map, "")
        assert contract.data == (SOURCE,) and contract.notice.startswith("Research only: trained on disks")
        assert contract.licence.startswith("Research only")

    def test_the_terms_of_its_data_go_with_the_run(self, run: Path, pack: Path, tmp_path: Path) -> None:
        """To one that begins from it, whose own data have no terms; contracts are made of what a run keeps."""
        bare = tmp_path / "bare.pack"
        whole = Pack(pack)
        names = whole.names["domain"]
        domains = [names[code] for code in whole.columns["domain"]]
        write(bare, [Example(whole.image(row), {"domain": domain}) for row, domain in enumerate(domains)])
        settings = {**self.settings, "images": self.settings["batch"]}
        assert Session(self.name, settings, tmp_path / "child", device="cpu").train(bare, begin_from=run)
        assert Run(tmp_path / "child").facts()["settings"]["sources"] == [SOURCE]

    def test_a_run_from_before_terms_were_kept_goes_on(self, run: Path, pack: Path, tmp_path: Path) -> None:
        """What follows from the data is no other setting, and is kept from then on."""
        shutil.copytree(run, tmp_path / "old")
        path = tmp_path / "old" / FACTS
        facts = json.loads(path.read_text())
        del facts["settings"]["sources"]
        path.write_text(json.dumps(facts))
        assert Session(self.name, self.settings, tmp_path / "old", device="cpu").train(pack)
        assert Run(tmp_path / "old").facts()["settings"]["sources"] == [SOURCE]

    def test_it_measures_itself(self, run: Path, pack: Path, tmp_path: Path) -> None:
        """By its distance from the data when it is asked to, and learns as if it had not been."""
        settings = {**self.settings, "measure": self.settings["images"], "measured": "4"}
        assert Session(self.name, settings, tmp_path, device="cpu").train(pack)
        (measured, _), (other, _) = (Run(each).state(self.name) for each in (tmp_path, run))
        assert all(torch.equal(measured[key], other[key]) for key in other)
        figures = json.loads((tmp_path / "figures.jsonl").read_text().splitlines()[-1])
        assert np.isfinite(figures["kid@dlib"]) and 0 <= figures["1nn@dlib"] <= 1
        assert "kid@dlib" not in (run / "figures.jsonl").read_text()

    def test_a_rehearsal_leaves_nothing(self, pack: Path, tmp_path: Path) -> None:
        """One step, in words."""
        told = Session(self.name, self.settings, tmp_path / "run", device="cpu").rehearse(pack)
        assert "parameters" in told and not (tmp_path / "run").exists()


class Generating(Conformance):
    """Tests of a recipe that makes pictures of numbers alone."""

    def test_a_collapse_is_told(self, pack: Path) -> None:
        """Where the same picture is made of all numbers, the symptom shows."""
        recipe = configured(find(self.name), self.settings)
        networks = recipe.networks()
        for name in recipe.averaged:
            for parameter in networks[name].parameters():
                nn.init.zeros_(parameter)
        step = stepped(networks, first_batch(recipe, pack))
        (judging,) = [phase for phase in recipe.phases() if phase.name == "discriminator"]
        judging.loss(step)
        figures = {name: value.item() for name, value in step.notes.items()}
        assert SPREAD in [symptom.figure for symptom in recipe.symptoms if symptom.shows(figures)]
