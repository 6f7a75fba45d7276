"""What every server of the comparison does with a picture: bytes in, bytes out, in the calling thread.

Peers import it into environments of their own, so it takes nothing but the photo path of the service, its contract and
ONNX Runtime.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.alignment import Image, cut, similarity
from export.contract import Contract
from export.repository import Repository
from service import imaging
from service.faces import FaceFinder
from service.imaging import Format
from service.marking import Source
from service.photo import Photo

MAX_PIXELS = 40_000_000
QUALITY = 90
EXAMPLE_SIDE = 640  # pixels to which examples reduce a photo before they look for faces

Answer = Callable[[bytes], bytes]


class Network:
    """An ONNX model of a repository that takes an aligned face, with its default options; threads may share it."""

    def __init__(self, models: Path, name: str, threads: int) -> None:
        """`threads` is how many one run of the network uses."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = Repository(models).resolve(name).path("model.onnx")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        contract = Contract.from_metadata(self._session.get_modelmeta().custom_metadata_map, str(path))
        assert contract.template is not None
        self.template = contract.template
        self._output = contract.output_name
        self._controls = {name: value[np.newaxis] for name, value in contract.values({}).items()}

    def run(self, crop: Image) -> NDArray[Any]:
        """What it makes of one crop: a drawing uint8 [H, W, 3] or an embedding float32 [D]."""
        row: NDArray[Any] = self._session.run([self._output], {"image": crop[np.newaxis], **self._controls})[0][0]
        return row


def aligned(translator: Network) -> Answer:
    """A JPEG that is the model's crop already, perhaps larger: decode, reduce, draw, encode."""
    size = translator.template.width, translator.template.height

    def answer(body: bytes) -> bytes:
        return _jpeg(translator.run(Photo(body, "image/jpeg", MAX_PIXELS).fitted(*size)))

    return answer


def photo(translator: Network, models: Path, searches: int) -> Answer:
    """A photo: decode, find the largest face, align it, draw, encode; `searches` may run at a time."""
    finder = FaceFinder(Repository(models).resolve("landmarks").path("model.dat"), searches=searches)

    def answer(body: bytes) -> bytes:
        opened = Photo(body, "image/jpeg", MAX_PIXELS)
        return _jpeg(translator.run(finder.largest(opened).crop(opened, translator.template)))

    return answer


def example(translator: Network, models: Path) -> Answer:
    """The same job as the frameworks' own examples do it: OpenCV decodes all pixels and writes a PNG."""
    predictor = dlib.shape_predictor(str(Repository(models).resolve("landmarks").path("model.dat")))
    own = threading.local()  # a detector writes to memory of its own

    def answer(body: bytes) -> bytes:
        pixels = cv2.cvtColor(cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        factor = min(1.0, EXAMPLE_SIDE / max(pixels.shape))
        small = cv2.resize(pixels, None, fx=factor, fy=factor)
        if not hasattr(own, "detector"):
            own.detector = dlib.get_frontal_face_detector()
        face = max(own.detector(small, 0), key=lambda box: box.area())
        points = [(point.x, point.y) for point in predictor(small, face).parts()]
        template = translator.template
        crop = cut(pixels, similarity(np.array(points) / factor, template.points), template)
        _, file = cv2.imencode(".png", cv2.cvtColor(translator.run(crop), cv2.COLOR_RGB2BGR))
        return file.tobytes()

    return answer


def similarity_of(models: Path, first: bytes, second: bytes) -> float:
    """The cosine of the largest faces of two photos, as /verify answers it."""
    encoder = Network(models, "sphereface", threads=1)
    finder = FaceFinder(Repository(models).resolve("landmarks").path("model.dat"))
    photos = (Photo(body, "image/jpeg", MAX_PIXELS) for body in (first, second))
    vectors = [encoder.run(finder.largest(photo).crop(photo, encoder.template)) for photo in photos]
    return float(vectors[0] @ vectors[1])


def make(work: str, models: Path, *, threads: int = 1, searches: int = 2) -> Answer:
    """The work noop, aligned, photo or example, warmed up as far as it can be without a photo."""
    translator = Network(models, "noop" if work == "noop" else "caricature", threads)
    translator.run(np.zeros((translator.template.height, translator.template.width, 3), np.uint8))
    match work:
        case "noop" | "aligned":
            return aligned(translator)
        case "photo":
            return photo(translator, models, searches)
        case "example":
            return example(translator, models)
    raise ValueError(f"no work is called {work!r}")


def ordered() -> Answer:
    """The work that the comparison wants of a peer, as the environment says."""
    return make(
        os.environ["BENCHMARK_WORK"],
        Path(os.environ["BENCHMARK_MODELS"]),
        threads=int(os.environ["BENCHMARK_THREADS"]),
    )


def _jpeg(drawing: Image) -> bytes:
    return imaging.encode(drawing, Format.JPEG, QUALITY, Source.DRAWN)
