"""The toy recipe on as many processes as torchrun starts, each of which tells: python two_processes.py FOLDER."""

import json
import os
import sys
from pathlib import Path

from lightning_fabric import Fabric

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.training.toy import Config, Watched
from training.engine.loop import Trainer
from training.engine.run import Run

if __name__ == "__main__":
    fabric = Fabric(accelerator="cpu", devices=int(os.environ["LOCAL_WORLD_SIZE"]), strategy="ddp")
    fabric.launch()
    run, recipe = Run(Path(sys.argv[1])), Watched(Config())
    if fabric.is_global_zero:
        run.begin("toy", recipe)
    fabric.barrier()
    trainer = Trainer("toy", recipe, run, fabric)
    trainer.train(run.folder)
    told = {"shown": recipe.shown, "weight": trainer.networks["line"].weight.item()}
    (run.folder / f"{fabric.global_rank}.json").write_text(json.dumps(told))
