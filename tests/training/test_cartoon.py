"""The bundled cartoonist on real faces."""

from pathlib import Path

import numpy as np
import pytest
import torch

from export.weights import load_state
from tests.training.carried import carried
from training.data.proportions import displacement
from training.exported import Exported
from training.networks.satnet_r import from_state
from training.networks.warp import PARTS

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(name="cartoonist", scope="module")
def cartoonist_() -> Exported:
    """The one that is served."""
    return Exported(MODELS / "cartoon")


def test_a_face_takes_the_proportions_of_a_cartoon(cartoonist: Exported, portraits) -> None:
    """Its landmarks are carried to where the procedural cartoonist, who is told them, would put them."""
    network = from_state(load_state(cartoonist.path))
    for photo, landmarks in portraits:
        found = carried(network, photo, landmarks, torch.ones(1), torch.ones(1, len(PARTS)))[0].numpy()
        wanted = displacement(landmarks)
        missed = np.linalg.norm(found - landmarks - wanted, axis=1).mean()
        assert missed < 0.4 * np.linalg.norm(wanted, axis=1).mean()


def test_a_cartoon_stands_on_white(cartoonist: Exported, portraits) -> None:
    """Whatever was behind the head; and nothing is white where the face is."""
    for drawn in cartoonist.draw([photo for photo, _ in portraits], {}):
        assert drawn[:12, :12].mean() > 245 and drawn[:12, -12:].mean() > 245 and drawn[-12:].mean() > 235
        assert drawn[140:160, 80:100].mean() < 235


def test_without_texture_the_photo_is_only_warped(cartoonist: Exported, portraits) -> None:
    """And left as it is without strength, to a level."""
    for photo, _ in portraits:
        (left,) = cartoonist.draw([photo], {"strength": 0.0, "texture": 0.0})
        assert np.abs(left.astype(int) - photo).max() <= 1
