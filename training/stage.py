"""One stage of training: an optimiser, a loss, a moving average and a checkpoint that resumes by the same command.

The loop of before there were phases (engine/loop.py), which have all that it has. It stays for the bundled translator:
with another schedule, average and order of random numbers the figures on its card would be those of another model. What
is new is made of phases.

Everything is counted in images seen. The moving average of the weights (half-life in images, as in EDM2) is what is
evaluated and exported.
"""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor, nn

Batch = Mapping[str, Tensor]
Loss = Callable[[Batch], tuple[Tensor, dict[str, Tensor]]]  # total and its named parts


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What is trained, on how many images, how fast."""

    name: str
    images: int
    batch: int
    rate: float  # peak learning rate of AdamW; rises over 2 % of the images, then falls as a half cosine
    half_life: int = 8_000  # of the moving average, in images
    every: int = 4_000  # images between two reports, each with a checkpoint


def train(
    stage: Stage,
    model: nn.Module,
    loss: Loss,
    batches: Callable[[int, int], Batch],
    folder: Path,
    report: Callable[[nn.Module], dict[str, float]] | None = None,
) -> nn.Module:
    """Train `model` in place and return its moving average.

    `batches(seen, size)` gives the batch at a position, so that a resumed run sees what an unbroken one would have
    seen. `report(average)` measures the moving average at each checkpoint. Runs in bfloat16 where autocast allows it.
    """
    console = Console()
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=stage.rate, weight_decay=1e-2)
    path = folder / f"{stage.name}.pt"
    seen = resume(path, model, average, optimiser)
    model.train()
    sums: dict[str, float] = {}
    steps, started = 0, time.perf_counter()
    while seen < stage.images:
        for group in optimiser.param_groups:
            group["lr"] = stage.rate * schedule(seen / stage.images)
        total, parts = loss(batches(seen, stage.batch))
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"{stage.name}: the gradient is not finite after {seen} images; lower the rate")
        optimiser.step()
        seen += stage.batch
        steps += 1
        follow(average, model, 0.5 ** (stage.batch / min(stage.half_life, seen / 4)))
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if seen // stage.every > (seen - stage.batch) // stage.every or seen >= stage.images:
            speed = steps * stage.batch / (time.perf_counter() - started)
            figures = {name: value / steps for name, value in sums.items()} | (report(average) if report else {})
            console.print(f"{stage.name} {seen} images", {k: round(v, 4) for k, v in figures.items()}, f"{speed:.0f}/s")
            save(path, model, average, optimiser, seen)
            sums, steps, started = {}, 0, time.perf_counter()
    return average


def schedule(progress: float) -> float:
    """The learning rate's share of its peak at a share of the run."""
    return min(progress / 0.02 + 0.01, 1.0) * 0.5 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, keep: float) -> None:
    """Move the average towards the model: average = keep * average + (1 - keep) * model; counters are copied."""
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - keep)
        else:
            mean.copy_(value)


def save(path: Path, model: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, seen: int) -> None:
    """Write the whole state; a run that is killed meanwhile keeps the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        "seen": seen,
    }
    torch.save(state | {"random": torch.get_rng_state()}, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def resume(path: Path, model: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Take the state up again where there is one; the number of images it has seen."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["random"])
    return int(state["seen"])
