"""A recipe by its name, brought together with a device and a run's folder: what the command line starts."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from export.contract import Contract
from export.parity import ParityError
from export.precision import STORED, Stored, rounded
from export.repository import GRAPH, publish, vacant
from export.to_onnx import ExportError, export_model
from training.data import terms
from training.engine import checkpoint, foreign, processes
from training.engine.batches import Places, loaded
from training.engine.checkpoint import Tensors
from training.engine.errors import DeviceError, RecipeError, RunError
from training.engine.figures import Figures
from training.engine.loop import Trainer
from training.engine.recipe import ORIGINS, Measured, Recipe, configured, find
from training.engine.run import Run
from training.networks.size import parameter_count

Origins = Mapping[str, tuple[str, ...]]
"""Some of the settings that training.engine.recipe.ORIGINS names."""
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("32-true", "bf16-mixed")


class Session:
    """One process of a training, of as many as torchrun has started."""

    def __init__(
        self, name: str, settings: Mapping[str, Any], folder: Path, *, device: str = "auto", precision: str = "32-true"
    ) -> None:
        """Raises RecipeError and DeviceError."""
        _check(device, precision)
        self._name = name
        self._precision = precision
        self._recipe = configured(find(name), settings)
        self._run = Run(folder)
        here, everywhere = (int(os.environ.get(key, "1")) for key in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
        self._fabric = Fabric(
            accelerator=device,
            devices=here,
            num_nodes=everywhere // here,
            strategy="ddp" if everywhere > 1 else "auto",
            precision=precision,  # type: ignore[arg-type]
        )
        self._fabric.launch()

    @property
    def advice(self) -> str:
        """What speaks against a training like this, in words; empty if nothing does."""
        if self._precision == "bf16-mixed" and self._fabric.device.type == "cpu" and not computes_in_bfloat16():
            return "this CPU has no instructions for bfloat16: bf16-mixed is 5 to 70 times slower here than 32-true"
        return ""

    @property
    def first(self) -> bool:
        """Whether this is the process that tells what there is to tell."""
        return self._fabric.is_global_zero

    def train(self, data: Path, *, begin_from: Path | None = None, workers: int = 0) -> bool:
        """Train, or go on, to the end, once; whether it was reached.

        Raises TrainingError, and KeyboardInterrupt if somebody interrupts twice.
        """
        self._fit(data, begin_from)
        processes.first(self._fabric, lambda: self._run.begin(self._name, self._recipe, data))
        trainer = Trainer(self._name, self._recipe, self._run, self._fabric)
        if begin_from is not None and not trainer.seen:
            trainer.begin_from(Run(begin_from))
        done = trainer.train(data, workers=workers)
        processes.parted(self._fabric)
        return done

    def rehearse(self, data: Path, *, begin_from: Path | None = None) -> str:
        """One step that leaves nothing behind, and what would be trained, in words. Raises TrainingError.

        After the step a sheet and, if there are to be any, a measurement, on which a run would else fail late.
        """
        self._fit(data, begin_from)
        processes.first(self._fabric, lambda: self._run.check(self._name, self._recipe, data))
        with tempfile.TemporaryDirectory() as scratch:
            trainer = Trainer(self._name, self._recipe, Run(Path(scratch)), self._fabric)
            if begin_from is not None:
                trainer.begin_from(Run(begin_from))
            places = Places(0, 1, self._recipe.batch, self._fabric.global_rank, self._fabric.world_size)
            stream, measured = self._recipe.stream(data), Measured()
            (batch,) = loaded(stream, places, 0, pinned=False)
            figures = Figures(partial(processes.gathered, self._fabric))
            trainer.step(self._fabric.to_device(batch), figures)
            if self.first:
                trainer.sheet(stream)
            if self.first and self._recipe.config.measure:
                measured = trainer.measured(data)
        processes.parted(self._fabric)
        sizes = [f"{name}: {parameter_count(network):,} parameters" for name, network in trainer.networks.items()]
        found = [f"{name}: {value:.4g}" for name, value in {**figures.read(), **measured.figures}.items()]
        what = f"{self._name} on {self._fabric.device}, {self._recipe.config.images:,} images"
        return "\n".join([what, *sizes, *found, *measured.refusals])

    def _fit(self, data: Path, begin_from: Path | None) -> None:
        self._recipe = self._recipe.fitted(data, Run(begin_from).facts()["settings"] if begin_from else {})


def computes_in_bfloat16() -> bool:
    """Whether oneDNN has kernels for it on this CPU; where it has none, PyTorch's plain loops compute."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _check(device: str, precision: str) -> None:
    _known("device", device, DEVICES)
    _known("precision", precision, PRECISIONS)
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("PyTorch finds no device 'cuda' here; 'auto' takes what there is")


def _known(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise DeviceError(f"there is no {what} {value!r}; there are {', '.join(known)}")


def translate(name: str, file: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings that a configuration in YAML stands for, and its keys that say nothing here. RecipeError."""
    return find(name).translated(foreign.configuration(file), str(file))


def import_run(name: str, files: Sequence[Path], folder: Path) -> str:
    """Begin a run with checkpoints of the system's authors, or with a published model (.onnx), in words.

    To export it or to begin others from it. What several of them say of the settings, the first one does; the run has
    learnt from what any of them has. Raises RecipeError, CheckpointError, RunError.
    """
    kind, run = find(name), Run(folder)
    settings, states, origins = dict[str, Any](), dict[str, Tensors](), list[Origins]()
    for file in files:
        tensors, learnt = _read(file)
        more, found = kind.imported(tensors, str(file))
        settings, states = more | settings, states | found
        origins.append(learnt)
    if run.exists:
        raise RunError(f"{folder} is a run already")
    known = {name: tuple(each for learnt in origins for each in learnt.get(name, ())) for name in ORIGINS}
    recipe = configured(kind, settings | known)
    networks = recipe.networks()
    checkpoint.restore({key: networks[key] for key in states}, states, ", ".join(map(str, files)))
    whole = {key: network.state_dict() for key, network in networks.items()}
    averages = {key: copy.deepcopy(whole[key]) for key in recipe.averaged}
    run.begin(name, recipe)
    tensors = checkpoint.packed("networks", whole) | checkpoint.packed("averages", averages)
    run.save(name, tensors, images=0, steps=0, keep=False)
    return f"{folder}: {', '.join(f'{key} of {parameter_count(networks[key]):,} parameters' for key in states)}"


def _read(file: Path) -> tuple[Tensors, Origins]:
    """The tensors of a checkpoint or of a published model, and what they were learnt from."""
    if file.suffix != Path(GRAPH).suffix:
        return foreign.load(file), {"sources": (terms.foreign(str(file)),)}
    tensors, contract = foreign.published(file)
    return tensors, {"sources": contract.data, "teachers": terms.teachers(contract.provenance)}


def publish_run(
    folder: Path,
    to: Path,
    data: Path | None = None,
    precision: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> str:
    """Export the averages of a run to models/NAME/VERSION; what was measured, in words.

    `data`: what the contract's figures, such as thresholds, are measured on, and how far shortened weights deviate.
    `precision`: that of the weights in the file, one of export.precision.STORED; by default the recipe's.
    `settings`: other ones than the run's, of those that change nothing of what was learnt.

    Raises RunError, CheckpointError, RecipeError, DeviceError, ContractError and RepositoryError.
    """
    if not to.parent.name or not to.name.isdecimal():
        raise RunError(f"{to} is not models/NAME/VERSION")
    root, model, version = to.parent.parent, to.parent.name, int(to.name)
    vacant(root, model, version)
    run = Run(folder)
    facts = run.facts()
    kind = find(facts["recipe"])
    recipe = configured(kind, facts["settings"] | _chosen(kind, settings or {}))
    stored = _stored(recipe, precision, data)
    state = run.state(facts["recipe"])
    if state is None:
        raise RunError(f"{folder} has no checkpoint yet")
    tensors, progress = state
    averages = {name: network.eval() for name, network in recipe.networks().items() if name in recipe.averaged}
    checkpoint.restore(averages, checkpoint.unpacked("averages", tensors), str(run.latest))
    recipe_file = f"training/recipes/{facts['recipe']}.py"
    provenance = {"recipe": recipe_file, "images": str(progress["images"]), "precision": stored}
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        path = Path(scratch) / GRAPH
        network, contract = recipe.exported(averages), _contract(recipe, provenance)
        try:
            if data is not None:
                contract = _measured(recipe, contract, network, stored, data)
            written = export_model(network, contract, path, stored=stored)
        except (ParityError, ExportError) as error:
            raise RunError(f"{folder} cannot be exported: {error}") from error
        publish(root, model, version, {GRAPH: path})
    return f"{model}/{version}: deviations {dict(written.parity)}"


def _contract(recipe: Recipe, provenance: Mapping[str, str]) -> Contract:
    """The recipe's, with what its data sets and its teachers mean for whoever uses the model."""
    known = {**provenance, **terms.taught(recipe.config.teachers)}
    return replace(recipe.contract(known), **terms.terms(recipe.config.sources))


def _chosen(kind: type[Recipe], settings: Mapping[str, str]) -> Mapping[str, str]:
    """They, if an export may choose them."""
    for name in settings.keys() - kind.free:
        known = ", ".join(sorted(kind.free)) or "none of this recipe"
        raise RecipeError(f"{name}: no setting that an export may choose; there are {known}")
    return settings


def _stored(recipe: Recipe, precision: str | None, data: Path | None) -> Stored:
    """How weights are stored in the file."""
    if precision is None:
        return "float16" if recipe.float16 else "float32"
    _known("precision", precision, STORED)
    if not recipe.compares():
        raise RunError("a precision can be chosen where it is measured what that changes; of this recipe it is not")
    if precision == "int8" and data is None:
        raise RunError("int8 is held against float32 on what is set aside: --data says which pack has that")
    return next(each for each in STORED if each == precision)


def _measured(recipe: Recipe, contract: Contract, network: nn.Module, stored: Stored, data: Path) -> Contract:
    """The contract with what the network reaches on data as it is stored, and how far it is from what was trained."""
    short = rounded(network, stored)
    if stored != "float32":
        contract = replace(contract, parity=recipe.agreed(network, short, stored, data))
    return recipe.calibrated(contract, short, data)
