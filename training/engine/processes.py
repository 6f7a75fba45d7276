"""What the processes of one run settle among them; a run of one process has nothing to settle.

The first one has the run's folder and tells what there is to tell. The others need not see that folder at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from training.engine.checkpoint import Tensors
from training.engine.errors import TrainingError

T = TypeVar("T")

State = tuple[Tensors, Mapping[str, Any]]
"""Tensors and facts of a checkpoint."""


def first(fabric: Fabric, work: Callable[[], T]) -> T | None:
    """What the first process does alone, while the others wait and get None; a TrainingError of it is all of theirs."""
    done: T | None = None
    failure: TrainingError | None = None
    if fabric.is_global_zero:
        try:
            done = work()
        except TrainingError as error:
            failure = error
    failure = fabric.broadcast(failure)
    if failure is not None:
        raise failure
    return done


def shared(fabric: Fabric, state: State | None) -> State | None:
    """The state that the first process has, in all of them; tensor by tensor, to take little of a device's memory."""
    if fabric.world_size == 1:
        return state
    outline = None
    if state is not None:
        outline = {name: (value.shape, value.dtype) for name, value in state[0].items()}, state[1]
    outline = fabric.broadcast(outline)
    if outline is None:
        return None
    shapes, facts = outline
    tensors = {}
    for name, (shape, dtype) in shapes.items():
        value = torch.empty(shape, dtype=dtype) if state is None else state[0][name]
        value = value.to(fabric.device)
        torch.distributed.broadcast(value, 0)
        tensors[name] = value.cpu()
    return tensors, facts


def gathered(fabric: Fabric, thing: T) -> list[T]:
    """That of every process, in each of them."""
    things = [thing] * fabric.world_size
    if fabric.world_size > 1:
        torch.distributed.all_gather_object(things, thing)
    return things


def parted(fabric: Fabric) -> None:
    """Each leaves the others, once all are through: one that merely ends may be aborted by what still listens."""
    if fabric.world_size > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def average_gradients(fabric: Fabric, parameters: Sequence[nn.Parameter]) -> None:
    """Each gradient becomes the mean over all processes; where none has one, there is none."""
    if fabric.world_size == 1:
        return
    here = [each.grad is not None for each in parameters]
    gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
    everywhere = torch.tensor(here, dtype=torch.float32, device=fabric.device)
    _average(fabric, [*gradients, everywhere])
    if not all(here):  # who has them all need not wait for what the others have
        for each, gradient, share in zip(parameters, gradients, everywhere.tolist(), strict=True):
            each.grad = gradient if share else None


def average_buffers(fabric: Fabric, networks: Iterable[nn.Module]) -> None:
    """Running statistics, of which each process has those of its own rows, become the means; counters are the same."""
    if fabric.world_size > 1:
        buffers = [each for network in networks for each in network.buffers() if each.is_floating_point()]
        _average(fabric, buffers)


def _average(fabric: Fabric, tensors: Sequence[Tensor]) -> None:
    if not tensors:
        return
    flat = torch.cat([each.flatten() for each in tensors])
    torch.distributed.all_reduce(flat)  # Fabric's own has all processes wait for each other before it
    flat /= fabric.world_size
    for each, piece in zip(tensors, flat.split([each.numel() for each in tensors]), strict=True):
        each.copy_(piece.view_as(each))
