"""A toy on as many processes as torchrun starts, each with a disk of its own: python two_processes.py FOLDER.

It is trained to the half, then gone on with from the checkpoint that is on the first one's disk. Each tells what it saw
and what it ends with.
"""

import json
import os
import sys
from pathlib import Path

from lightning_fabric import Fabric

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.training.toy import Config, Uneven
from training.engine.loop import Trainer
from training.engine.processes import first, parted
from training.engine.run import Run


def trained(fabric: Fabric, run: Run, recipe: Uneven) -> Trainer:
    """As far as the recipe wants."""
    first(fabric, lambda: run.begin("toy", recipe))
    trainer = Trainer("toy", recipe, run, fabric)
    trainer.train(run.folder)
    return trainer


if __name__ == "__main__":
    fabric = Fabric(accelerator="cpu", devices=int(os.environ["LOCAL_WORLD_SIZE"]), strategy="ddp")
    fabric.launch()
    folder = Path(sys.argv[1])
    run = Run(folder / str(fabric.global_rank))
    half, whole = Uneven(Config(images=32)), Uneven(Config())
    trained(fabric, run, half)
    state = trained(fabric, run, whole).state()
    told = {"shown": half.shown + whole.shown, "state": {name: value.tolist() for name, value in state.items()}}
    (folder / f"{fabric.global_rank}.json").write_text(json.dumps(told))
    parted(fabric)
