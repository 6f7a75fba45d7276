"""service.faces: every face, largest first, wherever and however large it is."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from export.alignment import SPHEREFACE, SQUARE_256, Template, apply
from service import faces as faces_module
from service.errors import FaceTooSmall, NoFaceFound, TooManyFaces
from service.faces import LANDMARK_WIDTH, Box, Face, FaceFinder, aligned, moved
from service.photo import Photo

# Pixels, from the set's own index: eye centres, nose tip, mouth corners of tests/assets/person1-neutral.jpg.
KNOWN_POINTS = [(96.2, 121.4), (160.2, 121.4), (131.3, 160.0), (98.6, 187.4), (153.6, 187.9)]


@pytest.fixture(scope="module", name="finder")
def finder_(models: Path) -> FaceFinder:
    """The bundled landmarks, two searches at a time."""
    return FaceFinder(models / "landmarks" / "1" / "model.dat", searches=2)


@pytest.fixture(name="portrait")
def portrait_(photo: bytes) -> Image.Image:
    """A portrait of 256 x 256 pixels."""
    return Image.open(io.BytesIO(photo)).convert("RGB")


@pytest.fixture(name="other")
def other_(stranger: bytes) -> Image.Image:
    """Another person's portrait."""
    return Image.open(io.BytesIO(stranger)).convert("RGB")


def photo_of(picture: Image.Image | np.ndarray, format: str = "BMP", **options: object) -> Photo:
    """The picture as it comes from a client, without losses if nothing else is said."""
    buffer = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(buffer, format, **options)
    return Photo(buffer.getvalue(), None, 40_000_000)


def scene(width: int, height: int, *portraits: tuple[Image.Image, int, int, int]) -> Image.Image:
    """A grey scene with portraits of a given side at x, y."""
    picture = Image.new("RGB", (width, height), (127, 127, 127))
    for portrait, side, x, y in portraits:
        picture.paste(portrait.resize((side, side), Image.Resampling.LANCZOS), (x, y))
    return picture


def test_the_points_are_where_they_are_known_to_be(finder: FaceFinder, portrait: Image.Image) -> None:
    """The five points stand in the template's order, within a tenth of the eye distance of the known ones."""
    face = finder.largest(photo_of(portrait))
    errors = np.linalg.norm(face.points - KNOWN_POINTS, axis=1)
    assert errors.mean() < 0.1 * 64 and abs(face.eye_distance - 64) < 6


def test_an_aligned_face_stands_in_the_template(finder: FaceFinder, portrait: Image.Image) -> None:
    """A turned portrait's crop shows the face upright: found again, its points are the template's."""
    turned = photo_of(portrait.rotate(17, Image.Resampling.BICUBIC, fillcolor=(127, 127, 127)))
    crop = finder.largest(turned).crop(turned, SQUARE_256)
    again = finder.largest(photo_of(crop))
    assert np.linalg.norm(again.points - SQUARE_256.points, axis=1).mean() < 0.12 * 56


@pytest.mark.parametrize("side", [3000, 1000, 256, 100])
def test_large_and_small_faces_are_found(finder: FaceFinder, portrait: Image.Image, side: int) -> None:
    """A face that fills the picture is found at any resolution."""
    face = finder.largest(photo_of(scene(side, side, (portrait, side, 0, 0))))
    assert abs(face.eye_distance / side - 0.25) < 0.03


def test_a_small_face_in_a_large_picture_is_found(finder: FaceFinder, portrait: Image.Image) -> None:
    """Where the cheap search sees nothing, a finer one follows."""
    face = finder.largest(photo_of(scene(2400, 1600, (portrait, 160, 1900, 1200))))
    assert 1900 < face.points[2, 0] < 2060 and 1200 < face.points[2, 1] < 1360


def test_all_faces_come_largest_first(finder: FaceFinder, portrait: Image.Image, other: Image.Image) -> None:
    """Two people are found in the order of their size, and the largest alone is the first of them."""
    picture = photo_of(scene(900, 500, (portrait, 200, 50, 100), (other, 400, 420, 50)))
    faces = finder.all(picture)
    assert [face.points[2, 0] > 420 for face in faces] == [True, False]
    assert finder.largest(picture).points[2, 0] > 420


def test_small_faces_behind_a_large_one_are_found(
    finder: FaceFinder, portrait: Image.Image, other: Image.Image
) -> None:
    """All faces of a large picture means those of a twentieth of its width too."""
    faces = finder.all(photo_of(scene(3000, 2000, (portrait, 1500, 100, 200), (other, 260, 2500, 1500))))
    assert len(faces) == 2 and faces[1].points[2, 0] > 2500


def test_no_face_and_a_tiny_face_are_told_apart(finder: FaceFinder, portrait: Image.Image) -> None:
    """A picture without a face, and one whose face has too few pixels, are different errors."""
    noise = photo_of(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    with pytest.raises(NoFaceFound):
        finder.largest(noise)
    with pytest.raises(NoFaceFound):
        finder.all(noise)
    with pytest.raises(FaceTooSmall):
        finder.largest(photo_of(scene(56, 56, (portrait, 56, 0, 0))))


def test_a_search_of_many_pixels_gives_its_memory_back(
    finder: FaceFinder, portrait: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a face is found at once there is nothing to give back; an empty picture is searched to the end."""
    trims: list[bool] = []
    monkeypatch.setattr(faces_module, "trim", lambda: trims.append(True))
    finder.largest(photo_of(portrait))
    assert not trims
    with pytest.raises(NoFaceFound):
        finder.largest(photo_of(np.full((960, 1280, 3), 128, np.uint8)))
    assert trims


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3000, 3), (3000, 2, 3)])
def test_slivers_have_no_face(finder: FaceFinder, shape: tuple[int, int, int]) -> None:
    """Pictures of a pixel's width are searched without harm."""
    with pytest.raises(NoFaceFound):
        finder.largest(photo_of(np.zeros(shape, np.uint8)))


def test_too_many_faces_are_refused(models: Path, portrait: Image.Image) -> None:
    """More faces than the limit are an error with faces=all."""
    finder = FaceFinder(models / "landmarks" / "1" / "model.dat", max_faces=1)
    with pytest.raises(TooManyFaces):
        finder.all(photo_of(scene(600, 300, (portrait, 256, 20, 20), (portrait, 256, 320, 20))))


def test_threads_find_what_one_finds(finder: FaceFinder, portrait: Image.Image, other: Image.Image) -> None:
    """Searches at the same time, more than there are detectors, do not disturb each other."""
    pictures = [photo_of(each) for each in (portrait, other) * 6]
    alone = [finder.largest(picture).points.tolist() for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert [face.points.tolist() for face in pool.map(finder.largest, pictures)] == alone


@pytest.mark.parametrize(("side", "reduction"), [(2600, 4), (1300, 4), (650, 2), (320, 1)])
def test_a_face_is_found_on_a_decode_no_finer_than_it_needs(
    finder: FaceFinder, portrait: Image.Image, side: int, reduction: int
) -> None:
    """Box and points are the whole picture's, whatever was decoded; a decode that shows the face wide enough is."""
    picture = scene(3200, 2600, (portrait, side, 400, 0))
    photo = photo_of(picture, "JPEG", quality=95)
    face = finder.largest(photo)
    assert photo.pixels(1)[1] == 1 / reduction
    assert face.box.width / reduction >= LANDMARK_WIDTH or reduction == 1
    known = np.array(KNOWN_POINTS) * side / 256 + (400, 0)
    assert np.linalg.norm(face.points - known, axis=1).mean() < 0.1 * side / 4
    x, y = (face.box.x + face.box.width / 2, face.box.y + face.box.height / 2) - known.mean(axis=0)
    assert np.hypot(x, y) < 0.3 * side / 4 and 1.8 < face.box.width / (side / 4) < 3


class Middle(FaceFinder):
    """Sees the same five points around the middle of any picture."""

    AROUND = np.array([(-0.1, -0.1), (0.1, -0.1), (0, 0), (-0.1, 0.1), (0.1, 0.1)])

    def points(self, image: np.ndarray, box: Box) -> np.ndarray:
        """In pixels of `image`."""
        size = np.array(image.shape[1::-1])
        return (size - 1) / 2 + self.AROUND * size


@pytest.mark.parametrize("side", [2600, 650, 320])
def test_points_of_a_reduced_decode_are_moved_exactly(models: Path, portrait: Image.Image, side: int) -> None:
    """Pixels have a width: a point keeps its place in the picture, not its distance from the first pixel's centre."""
    photo = photo_of(scene(3200, 2600, (portrait, side, 400, 0)), "JPEG", quality=95)
    face = Middle(models / "landmarks" / "1" / "model.dat").largest(photo)
    assert np.allclose(face.points, (1599.5, 1299.5) + Middle.AROUND * (3200, 2600))


@pytest.mark.parametrize("template", [SQUARE_256, SPHEREFACE])
@pytest.mark.parametrize("side", [2600, 1300])
def test_a_crop_of_a_reduced_decode_is_that_of_the_whole(
    finder: FaceFinder, portrait: Image.Image, side: int, template: Template
) -> None:
    """Nobody sees in a crop how much of the photo was decoded for it."""
    picture = scene(3200, 2600, (portrait, side, 400, 0))
    reduced, whole = photo_of(picture, "JPEG", quality=95), photo_of(picture)
    face = finder.largest(reduced)
    difference = np.abs(face.crop(reduced, template).astype(int) - face.crop(whole, template)).mean()
    assert reduced.pixels(1)[1] < 1 and difference < 1.5


def test_a_crop_asks_for_the_pixels_that_it_has(portrait: Image.Image) -> None:
    """A face that fills a large photo is cut from an eighth of it, one of the crop's own size from all of it."""
    picture = photo_of(portrait.resize((2560, 2560)), "JPEG")
    large = aligned(*picture.size, SQUARE_256)
    assert large.crop(picture, SQUARE_256).shape == (256, 256, 3) and picture.pixels(1)[1] == 1 / 8
    small = Face(Box(0, 0, 130, 130), 1.0, np.array(SQUARE_256.points) + 1000)
    small.crop(picture, SQUARE_256)
    assert picture.pixels(1)[1] == 1


@pytest.mark.parametrize("template", [SQUARE_256, SPHEREFACE])
@pytest.mark.parametrize("factor", [0.5, 1, 2, 3])
def test_an_aligned_picture_is_its_own_crop(portrait: Image.Image, template: Template, factor: float) -> None:
    """Of a picture that is a crop already the crop is the picture, resized; its points are the template's."""
    size = template.width, template.height
    large = portrait.resize((round(factor * size[0]), round(factor * size[1])), Image.Resampling.BICUBIC)
    photo = photo_of(large)
    face = aligned(*photo.size, template)
    method = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
    expected = cv2.resize(np.asarray(large), size, interpolation=method)
    assert np.abs(face.crop(photo, template).astype(int) - expected).max() <= (factor < 1)
    assert np.allclose(apply(face.align(template), face.points), template.points)


def test_an_aligned_picture_has_the_box_that_a_search_finds(finder: FaceFinder, portrait: Image.Image) -> None:
    """So that points found anew in a drawing of it are those of a drawing of a photo."""
    picture = photo_of(portrait)
    crop = photo_of(finder.largest(picture).crop(picture, SQUARE_256))
    given, found = aligned(*crop.size, SQUARE_256).box, finder.largest(crop).box
    assert abs(given.width - found.width) < 0.15 * found.width
    assert abs(given.x - found.x) < 0.15 * found.width and abs(given.y - found.y) < 0.15 * found.width


def test_opencv_has_one_thread() -> None:
    """Photo stages run one a core."""
    assert cv2.getNumThreads() == 1


def test_a_box_moves_with_its_face() -> None:
    """A box after a shift and a doubling is twice as large around the shifted centre."""
    matrix = np.array([[2.0, 0, 10], [0, 2.0, -5]])
    assert moved(Box(10, 20, 30, 40), matrix) == Box(30, 35, 60, 80)
    assert apply(matrix, [(25, 40)]).tolist() == [[60, 75]]
