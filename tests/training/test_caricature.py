"""The bundled caricature on real faces: what its controls do."""

from pathlib import Path

import numpy as np
import pytest
import torch

from export.contract import STYLE
from export.weights import load_state
from tests.training.carried import carried
from training.data.caricaturist import CODE_SIZE
from training.exported import Exported
from training.networks.satnet_r import Translator, from_state
from training.networks.warp import PARTS

MODELS = Path(__file__).parents[2] / "models"
STRENGTHS = torch.arange(0, 3.25, 0.25)
OF_PARTS = {"eyes": slice(36, 48), "nose": slice(30, 36), "mouth": slice(48, 68), "jaw": slice(5, 12)}
"""Of the 68 points."""


@pytest.fixture(name="caricature", scope="module")
def caricature_() -> Exported:
    """The one that is served."""
    return Exported(MODELS / "caricature")


@pytest.fixture(name="network", scope="module")
def network_(caricature: Exported) -> Translator:
    """The same in torch, where the warp can be asked."""
    return from_state(load_state(caricature.path))


def test_landmarks_go_further_with_every_step_of_strength(network: Translator, portraits) -> None:
    """From nothing at 0, each quarter of a step less than the one before, for every face."""
    alike = torch.ones(len(STRENGTHS), len(PARTS))
    for photo, landmarks in portraits:
        found = carried(network, photo, landmarks, STRENGTHS, alike)
        moved = (found - torch.from_numpy(landmarks).float()).norm(dim=2).mean(1)
        steps = moved.diff()
        assert moved[0] == pytest.approx(0, abs=1e-4) and (steps > 0).all()
        assert (steps.diff() < 0.01).all()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_s_share_moves_that_part(network: Translator, portraits, part: str) -> None:
    """Twice the share of one part moves its landmarks more than those of any other."""
    parts = torch.ones(2, len(PARTS))
    parts[1, PARTS.index(part)] = 2
    for photo, landmarks in portraits:
        alike, more = carried(network, photo, landmarks, torch.ones(2), parts)
        apart = (more - alike).norm(dim=1)
        moved = {name: float(apart[points].mean()) for name, points in OF_PARTS.items()}
        assert max(moved, key=moved.__getitem__) == part and moved[part] > 0.3


def test_without_strength_and_texture_the_photo_is_left(caricature: Exported, portraits) -> None:
    """To a level."""
    for photo, _ in portraits:
        (left,) = caricature.draw([photo], {"strength": 0.0, "texture": 0.0})
        assert np.abs(left.astype(int) - photo).max() <= 1


def test_codes_are_further_exaggerations_of_the_same_face(caricature: Exported, portraits) -> None:
    """Each another, and each the same again."""
    photos, codes = [photo for photo, _ in portraits], np.random.default_rng(0).standard_normal((3, CODE_SIZE))
    drawn = [caricature.draw(photos, {"code": code}) for code in (np.zeros(CODE_SIZE), *codes, codes[0])]
    for first, second in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        apart = [np.abs(a.astype(int) - b).mean() for a, b in zip(drawn[first], drawn[second], strict=True)]
        assert min(apart) > 0.5
    np.testing.assert_array_equal(drawn[1], drawn[4])


def test_a_style_is_read_of_the_drawing_in_it(caricature: Exported, portraits) -> None:
    """What was drawn in a named style is nearest to it for the bundled reader of styles."""
    photos, reader, names = (
        [photo for photo, _ in portraits],
        Exported(MODELS / "style"),
        list(caricature.contract.styles),
    )
    vectors = np.array([*caricature.contract.styles.values()])
    right = []
    for name in names:
        read_ = reader.run(caricature.draw(photos, {STYLE: name}), [{}] * len(photos))
        nearest = np.linalg.norm(read_[:, None] - vectors[None], axis=2).argmin(1)
        right += [names[each] == name for each in nearest]
    assert np.mean(right) > 0.7
