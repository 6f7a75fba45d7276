"""Made-up faces of 68 points in the translator's frame, the pictures of the assets with them, a small face encoder."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from export.alignment import SQUARE_256
from training.data.caricaturist import FaceSpace
from training.data.pictures import read
from training.data.portraits import Landmarker, aligned
from training.losses.margin import AngleLinear
from training.networks.sphereface import SphereFace

ASSETS = Path(__file__).parents[1] / "assets"


def arc(centre, radii, start, stop, count):
    """Points on an ellipse, angles in degrees."""
    angle = np.radians(np.linspace(start, stop, count))
    return np.array(centre) + np.column_stack([np.cos(angle), np.sin(angle)]) * radii


@pytest.fixture(scope="session")
def mean_face():
    """A symmetric face [68, 2] whose eyes, nose and mouth stand about where the template has them."""
    (lx, ly), (rx, _), (_, ny), (ml, my), (mr, _) = SQUARE_256.points
    left, right = (lx + 256 - 1 - rx) / 2, (rx + 256 - 1 - lx) / 2
    jaw = arc((127.5, ly + 5), (62, 105), 180, 0, 17)
    brow = arc((left, ly - 10), (17, 8), 200, 340, 5)
    bridge = np.column_stack([np.full(4, 127.5), np.linspace(ly + 4, ny, 4)])
    nostrils = np.column_stack([np.linspace(117, 138, 5), [ny + 6, ny + 8, ny + 9, ny + 8, ny + 6]])
    eye = np.array(
        [
            (left - 10, ly),
            (left - 4, ly - 4),
            (left + 4, ly - 4),
            (left + 10, ly),
            (left + 4, ly + 3),
            (left - 4, ly + 3),
        ]
    )
    flip = [255, 0] + np.array([-1, 1]) * eye
    outer = arc((127.5, my), ((mr - ml) / 2, 9), 180, 540, 13)[:12]
    inner = arc((127.5, my), ((mr - ml) / 2 - 5, 3), 180, 540, 9)[:8]
    other_brow = ([255, 0] + np.array([-1, 1]) * brow)[::-1]
    face = np.concatenate([jaw, brow, other_brow, bridge, nostrils, eye, flip[[3, 2, 1, 0, 5, 4]], outer, inner])
    assert face.shape == (68, 2) and right > left
    return face


@pytest.fixture(scope="session")
def faces(mean_face):
    """120 faces [N, 68, 2] that differ smoothly: wider, longer, larger noses, other mouths, and a little noise."""
    random = np.random.default_rng(3)
    result = []
    for _ in range(120):
        face = mean_face.copy()
        middle = face.mean(0)
        face = middle + (face - middle) * np.exp(random.normal(0, 0.06, 2))
        face[27:36] = face[27] + (face[27:36] - face[27]) * np.exp(random.normal(0, 0.12, 2))
        face[48:] = (
            face[48:].mean(0)
            + (face[48:] - face[48:].mean(0)) * np.exp(random.normal(0, 0.12, 2))
            + random.normal(0, 3, 2)
        )
        face[:17] += random.normal(0, 4, 2) * np.array([0, 1])
        result.append(face + random.normal(0, 0.5, face.shape))
    return np.array(result)


@pytest.fixture(scope="session")
def space(faces):
    """The face space of the made-up faces; their artists widen every mouth by two pixels."""
    after = faces[:20].copy()
    after[:, 48, 0] -= 2
    after[:, 54, 0] += 2
    return FaceSpace.fit(faces, faces[:20], after)


@pytest.fixture(scope="session")
def photo():
    """A real face uint8 [256, 256, 3] RGB, eyes and mouth near the template."""
    return cv2.cvtColor(cv2.imread(str(ASSETS / "person1-neutral.jpg")), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="session")
def portraits():
    """Three photos in the translator's frame, uint8 [256, 256, 3], with their landmarks [68, 2]."""
    landmarker, photos = Landmarker(), [read(path) for path in sorted(ASSETS.glob("*.jpg"))]
    return [aligned(photo, landmarker(photo)) for photo in photos]


@pytest.fixture(name="encoder", scope="session")
def encoder_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small face encoder's file, as of sphere20a."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("encoder") / "sphere.pth"
    torch.save({**SphereFace(4, 4).state_dict(), "fc6.weight": AngleLinear(512, 2).weight.data}, path)
    return path
