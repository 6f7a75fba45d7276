"""How many pictures a second a run is given from a pack.

    python -m benchmarks.loading

Decoded, enlarged, cut at random, mirrored and put into batches, as U-GAT-IT asks for them, by as many processes as
`likeness train --workers` has; 0 is the process that trains. A device that trains faster than this waits.
"""

import json
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from benchmarks import report, results
from benchmarks.pictures import PORTRAITS
from training.data.pack import Example, Pack, write
from training.data.pictures import read, squared
from training.data.streams import Shuffled
from training.data.views import Views
from training.engine.batches import Places, loaded

WORKERS = (0, 1, 2)
BATCH = 16
PICTURES = 256
WARM_UP = 8  # batches: workers start, and make a few ahead


def packed(path: Path, side: int) -> int:
    """Write a pack of portraits, each lit and turned a little differently; how many bytes it has."""
    random = np.random.default_rng(0)
    portraits = [squared(read(portrait), side) for portrait in PORTRAITS]

    def portrait(number: int) -> Example:
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), random.normal(0, 5), 1.0)
        image = cv2.warpAffine(portraits[number % len(portraits)], turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
        return Example(np.clip(image * random.uniform(0.7, 1.2), 0, 255).astype(np.uint8))

    write(path, map(portrait, range(PICTURES)))
    return path.stat().st_size


def pace(pack: Pack, side: int, workers: int, seconds: float) -> float:
    """Pictures a second, over so many seconds after the warm-up."""
    stream = Shuffled(Views(pack, side), seed=0)
    batches = loaded(stream, Places(0, 10**9, lambda _: BATCH, 0, 1), workers, pinned=False)
    for _ in islice(batches, WARM_UP):
        pass
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        count += len(next(batches)["image"])
    return count / (time.perf_counter() - started)


def main(
    side: Annotated[int, typer.Option(min=16, help="pixels of packed pictures and of views")] = 256,
    seconds: Annotated[float, typer.Option(min=0, help="for each number of workers")] = 10.0,
    into: Annotated[Path | None, typer.Option(help="the result file")] = None,
) -> None:
    """Measure, print, write."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portraits.pack"
        size = packed(path, side)
        found = {str(workers): round(pace(Pack(path), side, workers, seconds), 1) for workers in WORKERS}
    document = results.document("loading", side=side, batch=BATCH, bytes_each=size // PICTURES, pictures=found)
    results.write(into or results.path("loading"), document)
    report.show([document])
    print(json.dumps(document))


if __name__ == "__main__":
    typer.run(main)
