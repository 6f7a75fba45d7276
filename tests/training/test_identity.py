"""training.losses.identity: it falls as faces become more alike, each by itself."""

import math

import numpy as np
import pytest
import torch

from export.alignment import SPHEREFACE, SQUARE_256
from training.losses.identity import contrast, faces_of_square, identity_hinge, prototypes, similarity

ORIGINAL = torch.eye(4)


def turned(angles: list[float]) -> torch.Tensor:
    """ORIGINAL's rows, each turned by an angle towards the next one."""
    radians = torch.tensor(angles)[:, None]
    return radians.cos() * ORIGINAL + radians.sin() * ORIGINAL.roll(-1, 0)


def test_it_falls_as_faces_become_more_alike() -> None:
    """From what is asked for down to 0, and not the other way round, as SATNet's text has it."""
    losses = [identity_hinge(similarity(turned([angle] * 4), ORIGINAL), 0.5).item() for angle in (1.5, 1.2, 1.05, 0.5)]
    assert losses[0] > losses[1] > losses[2] >= losses[3] == 0


def test_each_face_is_compared_with_its_own() -> None:
    """SATNet's cosine was of the whole batch in one vector, where a face that is lost hides among those that are not.

    Lengths do not count either: in one vector the longest face would be nearly all of it.
    """
    made = turned([0.0, 0.0, 0.0, 1.5])
    cosine = similarity(made * torch.tensor([100.0, 1, 1, 1])[:, None], ORIGINAL)
    assert torch.allclose(cosine, torch.tensor([0.0, 0, 0, 1.5]).cos(), atol=1e-5)
    assert identity_hinge(cosine, 0.2875) > 0
    flat = similarity(made.reshape(1, -1), ORIGINAL.reshape(1, -1))
    assert identity_hinge(flat, 0.2875) == 0


def test_who_is_recognised_is_left_alone() -> None:
    """Beyond the threshold there is no gradient, before it there is one for that face alone; none is infinite at 0."""
    made = turned([0.1, 1.5, 1.0, 0.2]).requires_grad_()
    identity_hinge(similarity(made, ORIGINAL), 0.2875).backward()
    assert [bool(row.any()) for row in made.grad] == [False, True, False, False]
    nothing = torch.zeros(1, 4, requires_grad=True)
    identity_hinge(similarity(nothing, ORIGINAL[:1]), 0.2875).backward()
    assert torch.isfinite(nothing.grad).all()


def test_the_contrast_is_with_all_of_the_batch() -> None:
    """Its known values: log(B) where all look alike, and log(1 + (B - 1) exp(-1 / T)) where nobody resembles another.

    It falls as faces become their own, whatever the lengths of features, and is large for another person's.
    """
    alike = torch.ones(4, 4)
    assert contrast(alike, alike).item() == pytest.approx(math.log(4), abs=1e-5)
    for temperature in (0.07, 0.5):
        wanted = math.log(1 + 3 * math.exp(-1 / temperature))
        assert contrast(3 * ORIGINAL, ORIGINAL, temperature).item() == pytest.approx(wanted, abs=1e-5)
    losses = [contrast(turned([angle] * 4), ORIGINAL).item() for angle in (1.5, 0.8, 0.7, 0.1)]
    assert losses == sorted(losses, reverse=True) and losses[0] > 5
    single = torch.ones(1, 4, requires_grad=True)
    contrast(single, -single.detach()).backward()
    assert not single.grad.any()


def test_a_person_is_known_by_all_its_photos() -> None:
    """One says as much as another, however long its features are; who has none is nobody."""
    known = prototypes(torch.tensor([[2.0, 0, 0], [0, 0, 5], [0, 1, 0], [0, 0, 1]]), torch.tensor([2, 0, 2, 0]))
    half = math.sqrt(0.5)
    assert torch.allclose(known, torch.tensor([[0.0, 0, 1], [0, 0, 0], [half, half, 0]]))


@pytest.mark.parametrize("side", [128, 256])
def test_a_square_is_cut_as_the_face_encoder_was_taught(side: int) -> None:
    """What is at a point of the square's template comes to that of SphereFace's, in BGR, and gradients come back."""
    pictures = torch.full((5, 3, side, side), -1.0)
    y, x = np.mgrid[:side, :side]
    for row, point in enumerate(SQUARE_256.points):
        at = (np.array(point) + 0.5) * side / 256 - 0.5
        spot = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (side / 64) ** 2))
        pictures[row, 0] += 2 * torch.from_numpy(spot).float()
    pictures.requires_grad_()
    faces = faces_of_square(pictures)
    assert faces.shape == (5, 3, 112, 96) and faces[:, :2].max() < -0.99
    weight = (faces[:, 2].detach() + 127.5 / 128).numpy()
    rows, columns = np.mgrid[:112, :96]
    found = [(np.average(columns, weights=each), np.average(rows, weights=each)) for each in weight]
    assert np.abs(np.array(found) - SPHEREFACE.points).max() < 0.3
    faces.sum().backward()
    assert pictures.grad.any()
