"""service.faces: every face, largest first, wherever and however large it is."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.alignment import SQUARE_256, apply, cut
from service.errors import FaceTooSmall, NoFaceFound, TooManyFaces
from service.faces import Box, FaceFinder, moved

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


def scene(width: int, height: int, *portraits: tuple[Image.Image, int, int, int]) -> np.ndarray:
    """A grey scene with portraits of a given side at x, y."""
    picture = Image.new("RGB", (width, height), (127, 127, 127))
    for portrait, side, x, y in portraits:
        picture.paste(portrait.resize((side, side), Image.Resampling.LANCZOS), (x, y))
    return np.asarray(picture)


def test_the_points_are_where_they_are_known_to_be(finder: FaceFinder, portrait: Image.Image) -> None:
    """The five points stand in the template's order, within a tenth of the eye distance of the known ones."""
    face = finder.largest(np.asarray(portrait))
    errors = np.linalg.norm(face.points - KNOWN_POINTS, axis=1)
    assert errors.mean() < 0.1 * 64 and abs(face.eye_distance - 64) < 6


def test_an_aligned_face_stands_in_the_template(finder: FaceFinder, portrait: Image.Image) -> None:
    """A turned portrait's crop shows the face upright: found again, its points are the template's."""
    turned = np.asarray(portrait.rotate(17, Image.Resampling.BICUBIC, fillcolor=(127, 127, 127)))
    face = finder.largest(turned)
    crop = cut(turned, face.align(SQUARE_256), SQUARE_256)
    again = finder.largest(crop)
    assert np.linalg.norm(again.points - SQUARE_256.points, axis=1).mean() < 0.12 * 56


@pytest.mark.parametrize("side", [3000, 1000, 256, 100])
def test_large_and_small_faces_are_found(finder: FaceFinder, portrait: Image.Image, side: int) -> None:
    """A face that fills the picture is found at any resolution."""
    face = finder.largest(scene(side, side, (portrait, side, 0, 0)))
    assert abs(face.eye_distance / side - 0.25) < 0.03


def test_a_small_face_in_a_large_picture_is_found(finder: FaceFinder, portrait: Image.Image) -> None:
    """Where the cheap search sees nothing, a finer one follows."""
    face = finder.largest(scene(2400, 1600, (portrait, 160, 1900, 1200)))
    assert 1900 < face.points[2, 0] < 2060 and 1200 < face.points[2, 1] < 1360


def test_all_faces_come_largest_first(finder: FaceFinder, portrait: Image.Image, other: Image.Image) -> None:
    """Two people are found in the order of their size, and the largest alone is the first of them."""
    picture = scene(900, 500, (portrait, 200, 50, 100), (other, 400, 420, 50))
    faces = finder.all(picture)
    assert [face.points[2, 0] > 420 for face in faces] == [True, False]
    assert finder.largest(picture).points[2, 0] > 420


def test_small_faces_behind_a_large_one_are_found(
    finder: FaceFinder, portrait: Image.Image, other: Image.Image
) -> None:
    """All faces of a large picture means those of a twentieth of its width too."""
    faces = finder.all(scene(3000, 2000, (portrait, 1500, 100, 200), (other, 260, 2500, 1500)))
    assert len(faces) == 2 and faces[1].points[2, 0] > 2500


def test_no_face_and_a_tiny_face_are_told_apart(finder: FaceFinder, portrait: Image.Image) -> None:
    """A picture without a face, and one whose face has too few pixels, are different errors."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    with pytest.raises(NoFaceFound):
        finder.largest(noise)
    with pytest.raises(NoFaceFound):
        finder.all(noise)
    with pytest.raises(FaceTooSmall):
        finder.largest(scene(56, 56, (portrait, 56, 0, 0)))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3000, 3), (3000, 2, 3)])
def test_slivers_have_no_face(finder: FaceFinder, shape: tuple[int, int, int]) -> None:
    """Pictures of a pixel's width are searched without harm."""
    with pytest.raises(NoFaceFound):
        finder.largest(np.zeros(shape, np.uint8))


def test_too_many_faces_are_refused(models: Path, portrait: Image.Image) -> None:
    """More faces than the limit are an error with faces=all."""
    finder = FaceFinder(models / "landmarks" / "1" / "model.dat", max_faces=1)
    with pytest.raises(TooManyFaces):
        finder.all(scene(600, 300, (portrait, 256, 20, 20), (portrait, 256, 320, 20)))


def test_threads_find_what_one_finds(finder: FaceFinder, portrait: Image.Image, other: Image.Image) -> None:
    """Searches at the same time, more than there are detectors, do not disturb each other."""
    pictures = [np.asarray(portrait), np.asarray(other)] * 6
    alone = [finder.largest(picture).points.tolist() for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert [face.points.tolist() for face in pool.map(finder.largest, pictures)] == alone


def test_a_box_moves_with_its_face() -> None:
    """A box after a shift and a doubling is twice as large around the shifted centre."""
    matrix = np.array([[2.0, 0, 10], [0, 2.0, -5]])
    assert moved(Box(10, 20, 30, 40), matrix) == Box(30, 35, 60, 80)
    assert apply(matrix, [(25, 40)]).tolist() == [[60, 75]]
