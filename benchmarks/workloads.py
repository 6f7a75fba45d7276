"""What is asked of every server: the requests and their right answers, got by doing the work in this process."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import parser

from benchmarks import pictures, work
from benchmarks.exchanges import Exchange, multipart
from export.alignment import SQUARE_256
from export.contract import Contract
from export.repository import publish

BUNDLED = pictures.ROOT / "models"
THREADS = (1, 2)  # of a network's run, in some setting of some server
PLAIN = "faces=largest&identity=false"
READY = "faces=aligned&identity=false"

NOOP = Contract("translator", SQUARE_256, (), {}, "image", (256, 256, 3), notice="Gives back what it gets.")
NOOP_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
noop (uint8[batch,256,256,3] image) => (uint8[batch,256,256,3] image_out)
<float[3,3,1,1] identity = {1, 0, 0, 0, 1, 0, 0, 0, 1}>
{
    x = Cast<to = 1>(image)
    channels = Transpose<perm = [0, 3, 1, 2]>(x)
    same = Conv(channels, identity)
    pixels = Transpose<perm = [0, 2, 3, 1]>(same)
    image_out = Cast<to = 2>(pixels)
}
"""


@dataclass(frozen=True)
class Workload:
    """One kind of request."""

    name: str
    title: str
    path: str
    """Where the service answers it; peers answer at /answer."""
    exchanges: Sequence[Exchange]


@contextmanager
def repository() -> Iterator[Path]:
    """A model repository, for as long as the block lasts, of the bundled models and `noop`, a 1 x 1 convolution."""
    with tempfile.TemporaryDirectory(prefix="likeness-models-") as folder:
        root = Path(folder)
        for model in BUNDLED.iterdir():
            (root / model.name).symlink_to(model)
        graph = parser.parse_model(NOOP_GRAPH)
        onnx.helper.set_model_props(graph, NOOP.to_metadata())
        publish(root, "noop", 1, {"model.onnx": graph.SerializeToString()})
        yield root


def workload(name: str, models: Path) -> Workload:
    """One of WORKLOADS, with the right answers."""
    return WORKLOADS[name](models)


def noop(models: Path) -> Workload:
    """A: what a request costs around a model that costs nothing."""
    exchanges = _exchanges("noop", pictures.photos({(640, 480): 7}), models)
    return Workload("noop", "A: no-op model", f"/translate?model=noop&{READY}", exchanges)


def aligned(models: Path) -> Workload:
    """B: a crop through the generator."""
    exchanges = _exchanges("aligned", pictures.crops(), models)
    return Workload("aligned", "B: aligned crop", f"/translate?{READY}", exchanges)


def photo(models: Path) -> Workload:
    """C: photos of three sizes, from decode to encode."""
    exchanges = _exchanges("photo", pictures.photos(), models)
    return Workload("photo", "C: photo mix", f"/translate?{PLAIN}", exchanges)


def example(models: Path) -> Workload:
    """C as the frameworks' own examples would do it; there is none of the service."""
    exchanges = _exchanges("example", pictures.photos(), models)
    return Workload("example", "C as examples write it", "", exchanges)


def verify(models: Path) -> Workload:
    """Two photos of 2 megapixels: one person?"""
    two = [pictures.photos({(1600, 1200): 10})[index] for index in (1, 2, 3)]
    exchanges = []
    for first, second in zip(two, two[1:] + two[:1], strict=True):
        content_type, body = multipart({"image1": first, "image2": second})
        similarity = work.similarity_of(models, first, second)
        exchanges.append(Exchange(content_type, body, member=("similarity", similarity)))
    return Workload("verify", "/verify", "/verify", exchanges)


WORKLOADS = {each.__name__: each for each in (noop, aligned, photo, example, verify)}


def _exchanges(name: str, bodies: Sequence[bytes], models: Path) -> list[Exchange]:
    works = [work.make(name, models, threads=threads) for threads in THREADS]
    return [Exchange("image/jpeg", body, frozenset(answer(body) for answer in works)) for body in bodies]
