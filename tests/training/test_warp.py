"""Figures of a warp on known fields."""

import pytest
import torch

from training.metrics.warp import energies, explained, folded, turned_over

LANDMARKS = torch.tensor([[[0.0, 0.0], [0.3, -0.4]]])
TARGET = LANDMARKS + torch.tensor([0.1, 0.0])


@pytest.mark.parametrize("shift, share", [(0.0, 0.0), (-0.1, 1.0), (-0.05, 0.75), (0.1, -3.0)])
def test_a_uniform_shift_explains_what_it_reaches(shift, share):
    """The whole way explains all, half of it three quarters of the energy, the wrong way less than nothing."""
    field = torch.zeros(1, 2, 32, 32)
    field[:, 0] = shift
    assert explained(field, LANDMARKS, TARGET) == pytest.approx(share, abs=1e-5)


def test_each_face_has_energies_of_its_own():
    """What a field that moves nothing misses is all that was wanted, of each face."""
    found = energies(torch.zeros(2, 2, 32, 32), LANDMARKS.repeat(2, 1, 1), torch.cat([TARGET, LANDMARKS]))
    assert torch.allclose(found, torch.tensor([[0.02, 0.02], [0.0, 0.0]]), atol=1e-6)


def test_folds_are_counted():
    """The identity has none; a field that runs against x faster than x itself folds everywhere."""
    field = torch.zeros(1, 2, 16, 16)
    assert folded(field) == 0
    field[:, 0] = -1.5 * torch.arange(16) * 2 / 16
    assert folded(field) == 1


def test_each_picture_has_folds_of_its_own():
    """A grid that runs backwards is turned over everywhere, in whatever unit it counts; its neighbour is not."""
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    assert turned_over(torch.stack([torch.stack([x, y]), torch.stack([-x, y])])).tolist() == [0, 1]
