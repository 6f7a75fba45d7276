"""Losses between pictures and between fields and landmarks."""

import pytest
import torch

from training.losses.reconstruction import edges, fine_lines, landmark_error, laplacian


def test_a_picture_has_no_distance_to_itself():
    """All reconstruction losses vanish on equal pictures."""
    picture = torch.rand(2, 3, 16, 16)
    assert edges(picture, picture) == 0 and fine_lines(picture, picture) == 0


def test_edges_ignore_brightness():
    """A constant difference has no edges."""
    picture = torch.rand(2, 3, 16, 16)
    assert edges(picture, picture + 0.25) < 1e-6


def test_known_laplacian():
    """The Laplacian of x^2 + y^2 is 4."""
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    assert (laplacian((x**2 + y**2)[None, None]) == 4).all()


def test_landmark_error_of_a_shift():
    """A field that samples 0.1 to the left carries points 0.1 to the right, exactly."""
    field = torch.zeros(1, 2, 32, 32)
    field[:, 0] = -0.1
    landmarks = torch.tensor([[[0.0, 0.0], [0.3, -0.4]]])
    target = landmarks + torch.tensor([0.1, 0.0])
    assert landmark_error(field, landmarks, target).abs().max() < 1e-6
    assert landmark_error(field, landmarks, landmarks).mean() == pytest.approx(0.1)
