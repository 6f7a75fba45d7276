"""Whatever bytes come for a picture: pixels or an error of ours, and nothing else."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from export.alignment import SQUARE_256
from service.errors import LikenessError
from service.faces import FaceFinder, aligned
from service.photo import Photo
from tests.fuzz.corpus import corpus
from tests.fuzz.valid import pictures

LIMIT = 2_000_000


def outcome(content: bytes, finder: FaceFinder) -> str:
    """What becomes of the bytes on the way to a crop: "pixels", or the name of our error."""
    try:
        photo = Photo(content, None, LIMIT)
        small, scale = photo.pixels(40)
        pixels, (width, height) = photo.full(), photo.size
        assert small.dtype == pixels.dtype == np.uint8 and pixels.shape == (height, width, 3)
        assert small.shape[:2] == (int(np.ceil(height * scale)), int(np.ceil(width * scale)))
        assert photo.decoded_bytes == pixels.nbytes <= 3 * LIMIT
        assert aligned(width, height, SQUARE_256).crop(photo, SQUARE_256).shape == (256, 256, 3)
    except LikenessError as error:
        return type(error).__name__
    with suppress(LikenessError):  # there is no face in the corpus, but in noise a detector may see one
        finder.largest(photo)
    return "pixels"


@pytest.mark.filterwarnings("ignore")  # decoders warn of what they find; outside of tests that is no error
def test_hostile_bytes_are_pixels_or_errors_of_ours(models: Path) -> None:
    """Three hundred files that lie, loop, inflate or are torn: never an error that the service has no answer for."""
    finder = FaceFinder(models / "landmarks" / "1" / "model.dat")
    outcomes = Counter(outcome(content, finder) for _, content in corpus(300, seed=0))
    assert outcomes.total() == 300
    assert {"pixels", "MalformedImage", "UnsupportedImage", "TooManyPixels"} <= set(outcomes)


def test_valid_pictures_are_read() -> None:
    """What the corpus damages is whole before: a refusal of all would be no robustness."""
    for name, content in pictures().items():
        if name != "tiff-float":
            assert Photo(content, None, LIMIT).full().size, name


def test_the_corpus_is_the_same_for_the_same_seed() -> None:
    """A file that is found to break something can be made again."""
    first, second, other = (list(corpus(500, seed)) for seed in (1, 1, 2))
    assert first == second != other
    assert len({name for name, _ in first}) == len(first) == 500
