"""The loop: phases in turn, step after step, until as many images as the recipe wants were seen.

It knows no GAN. Everything that a step does follows from the seed and the images seen, so that a run that was
interrupted goes on as if it had not been, bit by bit on a CPU.

Lightning Fabric starts the processes, finds the device and gives mixed precision. Networks are not wrapped for several
processes: the wrapper expects one forward and one backward of each network a step, which hardly any GAN has. Gradients
are averaged once a phase instead, in one piece, and running statistics once a step. The first process alone writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import default_collate

from training.engine import checkpoint, memory, processes
from training.engine.average import Average
from training.engine.batches import Places, loaded
from training.engine.checkpoint import Tensors
from training.engine.clock import due
from training.engine.errors import CheckpointError, SickRun, TrainingError
from training.engine.figures import Figures
from training.engine.health import Health
from training.engine.interruption import Interruption
from training.engine.journal import Journal, Silent
from training.engine.pace import Pace
from training.engine.phase import Batch, Phase, Step
from training.engine.randomness import Random, Rows, seed_of
from training.engine.recipe import Measured, Recipe, Sheet, Stream
from training.engine.run import Run

EXAMPLES = 8
"""Rows of the stream that sheets show."""
ASKED = 1_000
"""Images between two questions to all processes whether the run is to end, where it makes no reports."""


class Trainer:
    """One recipe in one run's folder, in this process and perhaps in others beside it."""

    def __init__(self, name: str, recipe: Recipe, run: Run, fabric: Fabric) -> None:
        """Networks, averages and optimisers, in the state of the run's newest checkpoint.

        Raises RunError and CheckpointError.
        """
        self._name = name
        self._recipe = recipe
        self._plan = recipe.config
        self._run = run
        self._fabric = fabric
        torch.manual_seed(self._plan.seed)
        self.networks = {key: self._placed(network) for key, network in recipe.networks().items()}
        self.average = Average({key: self.networks[key] for key in recipe.averaged}, self._plan.half_life)
        self._phases = list(recipe.phases())
        self._optimisers = {
            phase.name: phase.optimiser(self._named(phase)) for phase in self._phases if phase.optimiser is not None
        }
        self._rates = {
            name: [group["lr"] for group in optimiser.param_groups] for name, optimiser in self._optimisers.items()
        }
        self.seen = 0
        self._steps = 0
        self._saved = 0
        state = processes.shared(fabric, processes.first(fabric, lambda: run.state(name)))
        if state is not None:
            self._take_up(*state)

    # State

    def state(self) -> Tensors:
        """All that a run goes on with."""
        moments = {
            phase.name: checkpoint.moments(self._optimisers[phase.name], self._named(phase))
            for phase in self._phases
            if phase.name in self._optimisers
        }
        return {
            **checkpoint.packed("networks", _states(self.networks)),
            **checkpoint.packed("averages", _states(self.average.networks)),
            **checkpoint.packed("optimisers", moments),
        }

    def begin_from(self, other: Run) -> None:
        """Take networks from the averages, or else the networks, of another run, of this or another recipe.

        Networks that it does not have, or that are to begin anew, keep their first weights. CheckpointError if it has
        none of them.
        """
        tensors, _ = checkpoint.load(other.latest)
        known = checkpoint.unpacked("networks", tensors) | checkpoint.unpacked("averages", tensors)
        wanted = known.keys() - set(self._recipe.anew)
        shared = {name: network for name, network in self.networks.items() if name in wanted}
        if not shared:
            raise CheckpointError(f"{other.latest} has none of {', '.join(self.networks)}")
        checkpoint.restore(shared, known, str(other.latest))
        self.average = Average({name: self.networks[name] for name in self._recipe.averaged}, self._plan.half_life)

    def _take_up(self, tensors: Tensors, facts: Mapping[str, int]) -> None:
        source = str(self._run.latest)
        checkpoint.restore(self.networks, checkpoint.unpacked("networks", tensors), source)
        checkpoint.restore(self.average.networks, checkpoint.unpacked("averages", tensors), source)
        found = checkpoint.unpacked("optimisers", tensors)
        for phase in self._phases:
            if phase.name in self._optimisers:
                optimiser = self._optimisers[phase.name]
                checkpoint.remember(optimiser, self._named(phase), found.get(phase.name, {}), source)
        self.seen = self._saved = facts["images"]
        self._steps = facts["steps"]

    def _save(self) -> None:
        """The first process does; the others wait. Unless a weight is not finite: what is saved can be gone on with."""
        for name, network in self.networks.items():
            for key, value in network.state_dict().items():
                if not torch.isfinite(value).all():
                    raise SickRun(self._advice(f"{name}/{key} is not finite"))
        facts = {"images": self.seen, "steps": self._steps, "keep": due(self._saved, self.seen, self._plan.keep)}
        processes.first(self._fabric, lambda: self._run.save(self._name, self.state(), **facts))
        self._saved = self.seen

    def _placed(self, network: nn.Module) -> nn.Module:
        placed: nn.Module = self._fabric.to_device(network)
        return placed.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _named(self, phase: Phase) -> list[tuple[str, nn.Parameter]]:
        """The parameters that a phase trains."""
        return [
            (f"{name}/{key}", parameter)
            for name in phase.trains
            for key, parameter in self.networks[name].named_parameters()
        ]

    # Training

    def train(self, data: Path, *, workers: int = 0) -> bool:
        """Go on to the end, or until somebody interrupts; whether the end was reached.

        Raises SickRun if a figure or a weight is not finite, KeyboardInterrupt if somebody interrupts twice, and what
        the recipe's stream raises, after a checkpoint. Of the others the newest checkpoint is there as it was.
        """
        plan, fabric = self._plan, self._fabric
        if fabric.device.type == "cpu":
            memory.keep()
        stream = self._recipe.stream(data)
        places = Places(self.seen, plan.images, self._recipe.batch, fabric.global_rank, fabric.world_size)
        batches = loaded(stream, places, workers, pinned=fabric.device.type == "cuda")
        figures, health = Figures(partial(processes.gathered, fabric)), Health(self._recipe.symptoms)
        pace = Pace(self.seen)
        aloud = fabric.is_global_zero
        with Interruption(self._kept, aloud=aloud) as interruption, self._journal() as journal:
            for batch in pace.awaited(self._saving_first(batches, figures, journal)):
                before = self.seen
                self.step(fabric.to_device(batch), figures)
                journal.advance(self.seen)
                last = self.seen >= plan.images or self._all_end(interruption.asked, before)
                # First of all: what cannot be written down later need not cost the checkpoint.
                if last or due(before, self.seen, plan.checkpoint):
                    with pace.beside():
                        self._check(figures.peek())
                        self._save()
                if last or due(before, self.seen, plan.report):
                    found = figures.read()
                    self._check(found)
                    fast, waited = pace.read(self.seen)
                    journal.report(self.seen, {**found, "waited": waited}, fast)
                    for complaint in health.complaints(found):
                        journal.complain(self.seen, complaint)
                with pace.beside():
                    if last or due(before, self.seen, plan.sheet):
                        self._show(stream, journal)
                    if plan.measure and (last or due(before, self.seen, plan.measure)) and fabric.is_global_zero:
                        journal.measured(self.seen, self.measured(data))
                if last:
                    break
            if interruption.asked:
                journal.say(self._kept())
        return self.seen >= plan.images

    def _saving_first(self, batches: Iterator[Batch], figures: Figures, journal: Journal | Silent) -> Iterator[Batch]:
        """The batches; before what their stream raises there is a checkpoint of all that was learnt, if it is sound.

        Of several processes none makes one: the others are in the middle of a step, and wait for this one.
        """
        try:
            yield from batches
        except (TrainingError, OSError):
            if self.seen > self._saved and self._fabric.world_size == 1:
                with suppress(SickRun, CheckpointError):
                    self._check(figures.peek())
                    self._save()
            journal.say(self._kept())
            raise

    def step(self, batch: Batch, figures: Figures) -> None:
        """All phases whose turn it is, over one batch of this process."""
        parts = self._parts(batch)
        torch.manual_seed(seed_of(self._plan.seed, self.seen, self._fabric.global_rank))  # dropout
        for phase in self._phases:
            if phase.due(self._steps):
                self._run_phase(phase, parts, figures)
        before = self.seen
        self.seen += sum(len(part.random.rows) for part in parts) * self._fabric.world_size
        self._steps += 1
        self._renew(before)
        _move(parts)
        processes.average_buffers(self._fabric, self.networks.values())
        self.average.follow(self.seen - before, self.seen)
        for part in parts:
            figures.add(part.notes)

    def _run_phase(self, phase: Phase, parts: Sequence[Step], figures: Figures) -> None:
        optimiser = self._optimiser(phase)
        named = self._named(phase)
        with _Learning(self.networks, phase.trains):
            for part in parts:
                with self._fabric.autocast():
                    terms = phase.loss(part)
                total = torch.stack([term.float() for term in terms.values()]).sum()
                (total / len(parts)).backward()
                figures.add({f"{phase.name}/{name}": value for name, value in terms.items()})
        processes.average_gradients(self._fabric, [each for _, each in named if each.requires_grad])
        if phase.clip:
            norm = nn.utils.clip_grad_norm_([parameter for _, parameter in named], phase.clip)
            figures.add({f"{phase.name}/gradient": norm})
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if phase.after is not None:
            with torch.no_grad():
                phase.after(self.networks)

    def _optimiser(self, phase: Phase) -> Optimizer:
        """The phase's own or shared one, at the learning rate of this moment."""
        name = phase.shares or phase.name
        optimiser = self._optimisers[name]
        share = phase.schedule(self.seen)
        for group, rate in zip(optimiser.param_groups, self._rates[name], strict=True):
            group["lr"] = rate * share
        return optimiser

    def _renew(self, before: int) -> None:
        """Optimisers forget after the step that passes the place, so that a checkpoint of it has forgotten too."""
        for phase in self._phases:
            if phase.name in self._optimisers and any(before < place <= self.seen for place in phase.renewed_at):
                self._optimisers[phase.name].state.clear()

    def _parts(self, batch: Batch) -> list[Step]:
        """The batch of this process in the plan's number of parts, each with the random numbers of its rows."""
        fabric, count = self._fabric, self._plan.parts
        local = len(next(iter(batch.values())))
        mine = Rows(0, local * fabric.world_size, local * fabric.world_size).part(fabric.global_rank, fabric.world_size)
        found = []
        for number in range(count):
            rows = mine.part(number, count)
            begin, end = rows.begin - mine.begin, rows.end - mine.begin
            random = Random(self._plan.seed, self.seen, rows, fabric.device)
            part = {name: value[begin:end] for name, value in batch.items()}
            found.append(Step(self.networks, part, self.seen, random))
        return found

    def _all_end(self, asked: bool, before: int) -> bool:
        """Whether the run is to end with the step that began after `before` images.

        Several processes settle that at reports, so that none waits for another, or as seldom where there are none.
        """
        if self._fabric.world_size == 1:
            return asked
        return due(before, self.seen, self._plan.report or ASKED) and any(processes.gathered(self._fabric, asked))

    def _check(self, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            if not -float("inf") < value < float("inf"):
                raise SickRun(self._advice(f"{name} is {value}"))

    def _advice(self, what: str) -> str:
        return f"{what} after {self.seen:,} images; {self._kept()}. A lower learning rate, or float32, usually helps"

    def _kept(self) -> str:
        return f"the checkpoint of {self._saved:,} images is kept" if self._saved else "no checkpoint was made yet"

    def _journal(self) -> Journal | Silent:
        if not self._fabric.is_global_zero:
            return Silent()
        return Journal(self._run.folder, self._name, self._plan.images, self.seen)

    def _show(self, stream: Stream, journal: Journal | Silent) -> None:
        if self._fabric.is_global_zero and (sheet := self.sheet(stream)) is not None:
            journal.sheet(self.seen, sheet)

    @torch.no_grad()
    def sheet(self, stream: Stream) -> Sheet | None:
        """Of the averages, on the stream's first examples."""
        examples = self._fabric.to_device(default_collate([stream[place] for place in range(EXAMPLES)]))
        random = Random(self._plan.seed, 0, Rows(0, EXAMPLES, EXAMPLES), self._fabric.device)
        with self._fabric.autocast():
            return self._recipe.sheet(self.average.networks, examples, random)

    def measured(self, data: Path) -> Measured:
        """The averages."""
        return self._recipe.measure(self.average.networks, data)


def _move(parts: Sequence[Step]) -> None:
    """Running means, each towards what the parts have found together."""
    for moves in zip(*(part.moves for part in parts), strict=True):
        value = torch.stack([each.value for each in moves]).mean(0)
        moves[0].mean.lerp_(value, moves[0].share)


def _states(networks: Mapping[str, nn.Module]) -> dict[str, Tensors]:
    return {name: network.state_dict() for name, network in networks.items()}


class _Learning:
    """Within the block only these networks learn; gradients still flow through the others."""

    def __init__(self, networks: Mapping[str, nn.Module], trained: Sequence[str]) -> None:
        self._fixed = [
            parameter
            for name, network in networks.items()
            if name not in trained
            for parameter in network.parameters()
            if parameter.requires_grad
        ]

    def __enter__(self) -> None:
        for parameter in self._fixed:
            parameter.requires_grad_(False)

    def __exit__(self, *_: object) -> None:
        for parameter in self._fixed:
            parameter.requires_grad_(True)
