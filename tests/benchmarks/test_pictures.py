from io import BytesIO

import pytest
from PIL import Image

from benchmarks import pictures
from service.errors import problem_of
from service.faces import FaceFinder
from service.photo import Photo

SMALL = {(640, 480): 3, (320, 240): 1}


def sizes(files: list[bytes]) -> list[tuple[int, int]]:
    """Widths and heights."""
    return [Image.open(BytesIO(file)).size for file in files]


def test_photos_are_the_same_at_every_call():
    """Sizes are those of the mix, spread, and the bytes are the same again: results of two runs can be compared."""
    files = pictures.photos(SMALL)
    assert sorted(sizes(files)) == [(320, 240), (640, 480), (640, 480), (640, 480)]
    assert files == pictures.photos(SMALL)
    assert len({*files}) == len(files)


def test_a_photo_shows_a_face_that_is_found():
    """The face takes a third to a half of the height, as in a portrait."""
    finder = FaceFinder(pictures.ROOT / "models" / "landmarks" / "1" / "model.dat")
    for file in pictures.photos({(640, 480): 4}):
        box = finder.largest(Photo(file, None, 40_000_000)).box
        assert 480 / 4 < box.height < 480 / 2


def test_crops_are_small_files_of_the_models_size():
    """256 x 256 pixels in less than 30 kB, one of each portrait."""
    files = pictures.crops()
    assert sizes(files) == [(256, 256)] * len(pictures.PORTRAITS)
    assert max(map(len, files)) < 30_000


@pytest.mark.parametrize("code", ["malformed-image", "unsupported-image-type", "empty-body", "image-type-mismatch"])
def test_broken_pictures_are_broken_as_they_say(code: str):
    """The photo path refuses each with the problem that it is filed under."""
    body = pictures.broken(pictures.photos({(640, 480): 1})[0])[code]
    with pytest.raises(Exception) as caught:
        Photo(body, "image/jpeg", 40_000_000).full()
    assert problem_of(caught.value).code == code


def test_a_bomb_and_an_empty_wall_are_among_them():
    """One claims more pixels than are decoded, one shows nobody."""
    broken = pictures.broken(pictures.photos({(640, 480): 1})[0])
    with pytest.raises(Exception) as caught:
        Photo(broken["too-many-pixels"], "image/jpeg", 40_000_000)
    assert problem_of(caught.value).code == "too-many-pixels"
    assert Photo(broken["no-face-found"], "image/jpeg", 40_000_000).size == (640, 480)
