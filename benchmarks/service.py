"""Requests per second and latency of the service, beside the same work in a plain loop without HTTP.

    python -m benchmarks.service        (make bench)

A real uvicorn and closed-loop clients share the machine: each client sends its next request when it has its answer. The
raw loop does what a request does (decode, detect, align, run, score, encode), one photo after the other in one process.
Prints a table, then one JSON line, which is also written as a new file to benchmarks/results/.
"""

import asyncio
import itertools
import json
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Annotated

import httpx2
import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from demo.run import running_service
from export.alignment import cut
from export.repository import Repository
from service import imaging
from service.faces import Face, FaceFinder, moved
from service.imaging import Format
from service.marking import Source
from service.models import OnnxModel, Row, cores
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PHOTOS = (ROOT / "demo" / "photo.jpg", *sorted((ROOT / "tests" / "assets").glob("person*.jpg")))
SIDE = 1024  # pixels: the photos are enlarged to about what a phone's portrait has
CLIENTS = (1, 4, 16)
PACKAGES = ("numpy", "onnxruntime", "opencv-python-headless", "dlib-bin", "pillow", "fastapi", "uvicorn")

Parts = dict[str, tuple[str, bytes, str]]


@dataclass(frozen=True)
class Measurement:
    """What one row of the table says; latencies in milliseconds."""

    route: str
    clients: int  # 0: the raw loop
    requests: int
    failed: int
    per_second: float
    p50: float
    p99: float

    @classmethod
    def of(cls, route: str, clients: int, latencies: list[float], failed: int, seconds: float) -> "Measurement":
        """From the seconds that each answered request took, and the seconds that all took together."""
        p50, p99 = 1000 * np.percentile(latencies, [50, 99]) if latencies else (float("nan"),) * 2
        rate = len(latencies) / seconds
        return cls(route, clients, len(latencies), failed, round(rate, 2), round(float(p50), 1), round(float(p99), 1))


def photos() -> list[bytes]:
    """The committed photos as JPEG files of SIDE pixels."""
    files = []
    for path in PHOTOS:
        buffer = BytesIO()
        Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    return files


def requests(route: str, files: list[bytes]) -> Iterator[Parts]:
    """The forms that clients send, over and over: one photo to /translate, neighbours to /verify."""
    for index in itertools.count():
        first, second = files[index % len(files)], files[(index + 1) % len(files)]
        if route == "/translate":
            yield {"image": ("photo.jpg", first, "image/jpeg")}
        else:
            yield {"image1": ("one.jpg", first, "image/jpeg"), "image2": ("two.jpg", second, "image/jpeg")}


async def served(base_url: httpx2.URL, route: str, clients: int, files: list[bytes], seconds: float) -> Measurement:
    """`clients` connections at once for that many seconds."""
    forms, latencies, failures = requests(route, files), list[float](), itertools.count()
    async with httpx2.AsyncClient(base_url=base_url, timeout=120) as client:

        async def keep_asking() -> None:
            while time.perf_counter() < end:
                began = time.perf_counter()
                answer = await client.post(route, files=next(forms))
                if answer.is_success:
                    latencies.append(time.perf_counter() - began)
                else:
                    next(failures)

        started = time.perf_counter()
        end = started + seconds
        await asyncio.gather(*(keep_asking() for _ in range(clients)))
    return Measurement.of(route, clients, latencies, next(failures), time.perf_counter() - started)


class RawLoop:
    """What the two routes do with a photo, called directly."""

    def __init__(self, settings: Settings) -> None:
        repository = Repository(settings.models)
        self.settings = settings
        self.finder = FaceFinder(repository.resolve(settings.landmarks).path("model.dat"))
        self.translator = OnnxModel(repository.resolve(settings.default_model))
        self.encoder = OnnxModel(repository.resolve(settings.encoder))

    def translate(self, file: bytes, _: bytes) -> None:
        """Decode, detect, align, draw, score, encode."""
        photo = imaging.decode(file, None, self.settings.max_pixels)
        face = self.finder.largest(photo)
        template = self.translator.contract.template
        assert template is not None
        matrix = face.align(template)
        (drawing,) = self.translator.run([Row(cut(photo, matrix, template), {})])
        box = moved(face.box, matrix)
        redrawn = Face(box, face.score, self.finder.points(drawing, box))
        self.encoder.run([self._encoder_row(photo, face)])
        self.encoder.run([self._encoder_row(drawing, redrawn)])
        imaging.encode(drawing, Format.JPEG, 90, Source.DRAWN)

    def verify(self, first: bytes, second: bytes) -> None:
        """Decode, detect, align and embed two photos."""
        for file in (first, second):
            photo = imaging.decode(file, None, self.settings.max_pixels)
            self.encoder.run([self._encoder_row(photo, self.finder.largest(photo))])

    def _encoder_row(self, photo: imaging.Image, face: Face) -> Row:
        template = self.encoder.contract.template
        assert template is not None
        return Row(cut(photo, face.align(template), template), {})


def raw(route: str, work: Callable[[bytes, bytes], None], files: list[bytes], seconds: float) -> Measurement:
    """The work again and again for that many seconds, after one round of warm-up."""
    pairs = itertools.cycle(zip(files, files[1:] + files[:1], strict=True))
    for _ in files:
        work(*next(pairs))
    latencies = []
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        began = time.perf_counter()
        work(*next(pairs))
        latencies.append(time.perf_counter() - began)
    return Measurement.of(route, 0, latencies, 0, time.perf_counter() - started)


def machine() -> dict[str, object]:
    """What the figures depend on; nothing that names a host or a person."""
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _cpu_model() -> str:
    """As the system calls it, or the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str:
    """The commit that was measured, or nothing outside a clone."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def measure(seconds: float) -> list[Measurement]:
    """The raw loop and the service at every number of clients, for both routes."""
    files, loop = photos(), RawLoop(Settings())
    found = [raw("/translate", loop.translate, files, seconds), raw("/verify", loop.verify, files, seconds)]
    with running_service() as client:
        for route in ("/translate", "/verify"):
            asyncio.run(served(client.base_url, route, max(CLIENTS), files, min(seconds, 2)))  # warm-up
            found += [asyncio.run(served(client.base_url, route, count, files, seconds)) for count in CLIENTS]
    return found


def show(measurements: list[Measurement]) -> None:
    """The table for people."""
    table = Table("route", "clients", "requests", "failed", "a second", "p50 ms", "p99 ms", "of the raw loop")
    for route in ("/translate", "/verify"):
        rows = [each for each in measurements if each.route == route]
        for each in rows:
            clients = str(each.clients) if each.clients else "raw loop"
            share = f"{each.per_second / rows[0].per_second:.0%}"
            figures = (each.per_second, each.p50, each.p99)
            table.add_row(route, clients, str(each.requests), str(each.failed), *map(str, figures), share)
        table.add_section()
    Console(width=110).print(table)


def main(
    seconds: Annotated[float, typer.Option(help="how long each row is measured", min=0.1)] = 10.0,
    results: Annotated[Path, typer.Option(help="where the run's file goes")] = RESULTS,
) -> None:
    """Measure, print, write."""
    now = datetime.now(UTC)
    measurements = measure(seconds)
    show(measurements)
    run = {
        "benchmark": "service",
        "at": now.isoformat(timespec="seconds"),
        "commit": _commit(),
        "command": f"python -m benchmarks.service --seconds {seconds:g}",
        "photos": f"{len(PHOTOS)} JPEG of {SIDE} x {SIDE} pixels",
        "machine": machine(),
        "measurements": [asdict(each) for each in measurements],
    }
    line = json.dumps(run)
    print(line)
    results.mkdir(parents=True, exist_ok=True)
    (results / f"service-{now:%Y%m%dT%H%M%SZ}.json").write_text(json.dumps(run, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
