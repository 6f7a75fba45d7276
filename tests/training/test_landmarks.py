import os
from dataclasses import replace
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest
from PIL import Image

from export.repository import Repository
from training.recipes import landmarks
from training.recipes.landmarks import Config, Example

ROOT = Path(__file__).resolve().parents[2]

TINY = Config(
    copies=1,
    rotation=3,
    turn=3,
    length=0.02,
    cascade_depth=3,
    num_trees_per_cascade_level=20,
    oversampling_amount=5,
    feature_pool_size=60,
    num_test_splits=10,
)


def drawn_face(rng: np.random.Generator) -> Example:
    """Dark eyes, nose and mouth corners on a light disc, somewhere in a box of a picture of 160 pixels."""
    centre, unit = rng.uniform(70, 90, 2), rng.uniform(18, 24)
    places = np.array([(-1, -0.8), (1, -0.8), (0, 0.2), (-0.8, 1), (0.8, 1)]) + rng.normal(0, 0.08, (5, 2))
    points = centre + unit * places
    image = np.full((160, 160), 60, np.uint8)
    cv2.circle(image, tuple(map(int, centre)), round(2.4 * unit), 200, -1)
    for point in points:
        cv2.circle(image, tuple(map(int, np.rint(point))), 4, 20, -1)
    side, middle = 2 * unit, centre + rng.normal(0, 0.15, 2) * unit
    return Example(image, np.hstack([middle - side, middle + side]), points)


@pytest.fixture(scope="module", name="bundled")
def bundled_predictor():
    """The predictor that the service loads."""
    return dlib.shape_predictor(str(Repository(ROOT / "models").resolve("landmarks").path("model.dat")))


def test_the_mirrored_points_keep_their_sides():
    """In the mirror image, the eye that stands left is the first again, and mirroring twice changes nothing."""
    points = np.array([(30, 50), (66, 51), (48, 72), (34, 92), (63, 93)], float)
    flipped = landmarks.mirrored(points, 96)
    assert flipped[0, 0] < flipped[1, 0] and flipped[3, 0] < flipped[4, 0]
    assert flipped[0].tolist() == [95 - 66, 51]
    assert landmarks.mirrored(flipped, 96).tolist() == points.tolist()


def test_a_disturbed_example_keeps_its_points_on_the_face():
    """Whatever a copy does to the picture it does to the points: the dark spots stay under them."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        copy = landmarks.disturbed(drawn_face(rng), Config(), rng)
        under = [copy.image[round(y), round(x)] for x, y in copy.points]
        assert max(under) < 0.5 * copy.image.max()


def test_no_turn_changes_nothing():
    """A head turned by zero degrees is the same picture with the same points."""
    face = drawn_face(np.random.default_rng(0))
    same = landmarks.turned(face, np.zeros(2))
    assert np.array_equal(same.image, face.image)
    # The bell of the depth shifts by sin 0.
    assert np.allclose(same.points, face.points)


def test_a_turned_head_moves_its_nose_most():
    """The nose leads to the side that the head turns to; the eyes come closer together."""
    face = drawn_face(np.random.default_rng(0))
    turned = landmarks.turned(face, np.radians([20, 0]))
    assert np.argmax((turned.points - face.points)[:, 0]) in (0, 2)
    nose_to_eyes = [points[2, 0] - points[:2, 0].mean() for points in (turned.points, face.points)]
    assert nose_to_eyes[0] > nose_to_eyes[1] + 5
    assert np.ptp(turned.points[:2, 0]) < np.ptp(face.points[:2, 0])


def test_the_error_is_a_share_of_the_eye_distance():
    """A point that is off by a tenth of the distance between the eyes has an error of 0.1."""
    truth = np.array([(0, 0), (50, 0), (25, 20), (5, 50), (45, 50)], float)
    assert landmarks.error(truth + (3, 4), truth) == pytest.approx([0.1] * 5)


def test_the_recipe_learns_drawn_faces(tmp_path):
    """Trained on a hundred drawings, the predictor finds the points of others far better than the mean face does."""
    rng = np.random.default_rng(0)
    faces = [drawn_face(rng) for _ in range(100)]
    model = landmarks.train([*faces, *(landmarks.disturbed(face, TINY, rng) for face in faces)], TINY)
    (tmp_path / "model.dat").write_bytes(model)
    predictor = dlib.shape_predictor(str(tmp_path / "model.dat"))
    mean_face = np.mean([(face.points - face.box[:2]) / np.ptp(face.box[::2]) for face in faces], 0)
    errors, baseline = [], []
    for _ in range(30):
        face = drawn_face(rng)
        errors.append(landmarks.error(landmarks.predict(predictor, face.image, face.box), face.points).mean())
        guess = face.box[:2] + mean_face * np.ptp(face.box[::2])
        baseline.append(landmarks.error(guess, face.points).mean())
    assert np.mean(errors) < 0.7 * np.mean(baseline)


def test_the_same_seed_trains_the_same_predictor():
    """A run is repeatable to the byte."""
    rng = np.random.default_rng(0)
    faces, config = [drawn_face(rng) for _ in range(20)], replace(TINY, cascade_depth=2)
    assert landmarks.train(faces, config) == landmarks.train(faces, config)


def test_the_bundled_predictor_is_small():
    """Its file is a few megabytes."""
    assert Repository(ROOT / "models").resolve("landmarks").path("model.dat").stat().st_size < 8_000_000


def test_the_bundled_predictor_on_the_demo_photo(bundled):
    """On the committed photo it agrees with the 68-point network to 5 % of the distance between the eyes."""
    found = landmarks.errors(bundled, [ROOT / "demo" / "photo.jpg"])
    assert found.shape == (1, 5) and found.mean() <= 0.05


def test_grey_and_colour_pictures_give_the_same_points(bundled):
    """The predictor is trained on the mean of the channels, which is what it reads from an RGB picture."""
    image = np.asarray(Image.open(ROOT / "demo" / "photo.jpg").convert("RGB"))
    box = landmarks.Labeller()(image)[0]
    points = landmarks.predict(bundled, image, box)
    assert np.abs(points - landmarks.predict(bundled, landmarks.grey(image), box)).max() <= 1


@pytest.mark.skipif("LIKENESS_DATA" not in os.environ, reason="LIKENESS_DATA is not set")
@pytest.mark.parametrize("name", ["congress256, set aside", "london256, neutral", "london256, smiling"])
def test_the_bundled_predictor_on_people_set_aside(bundled, name):
    """On people who were not in training the mean error is at most 5 % of the distance between the eyes."""
    paths = landmarks.evaluation_photos(Path(os.environ["LIKENESS_DATA"]))[name]
    found = landmarks.errors(bundled, paths)
    assert len(found) >= 0.95 * len(paths)
    assert found.mean() <= 0.05
