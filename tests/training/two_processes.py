"""The toy recipe on as many processes as torchrun starts: python two_processes.py FOLDER."""

import os
import sys
from pathlib import Path

from lightning_fabric import Fabric

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.training.toy import Config, Toy
from training.engine.loop import Trainer
from training.engine.run import Run

if __name__ == "__main__":
    fabric = Fabric(accelerator="cpu", devices=int(os.environ["LOCAL_WORLD_SIZE"]), strategy="ddp")
    fabric.launch()
    run, recipe = Run(Path(sys.argv[1])), Toy(Config())
    if fabric.is_global_zero:
        run.begin("toy", recipe)
    fabric.barrier()
    Trainer("toy", recipe, run, fabric).train(run.folder)
