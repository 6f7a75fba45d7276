"""training.data.proportions: from portraits to cartoons by one map."""

from itertools import pairwise

import numpy as np

from training.data.pairs import resampled
from training.data.proportions import HAIR, HALF, PORTRAIT, displacement, flow, knots, moved, turned, whole


def test_proportions_are_moved_alike_for_everyone(mean_face):
    """The map is symmetric, comes near to its knots, and does not fold: points stay in order."""
    source, target = knots()
    assert len(source) == 2 * len(HALF) - (HALF[:, 0, 0] == 128).sum()
    assert np.abs(moved(source) - target).mean() < 2
    flipped = moved(mean_face * (-1, 1) + (256, 0))
    assert np.allclose(flipped, moved(mean_face) * (-1, 1) + (256, 0), atol=0.5)
    line = moved(np.stack([np.full(50, 90.0), np.linspace(5, 250, 50)], -1))
    assert all(below > above for above, below in pairwise(line[:, 1]))


def test_a_face_flows_to_the_proportions_of_its_cartoon(faces):
    """Where a landmark goes the backward map comes from the landmark, hair follows, and nothing folds."""
    for face in faces[:3]:
        field = flow(face)
        assert np.abs(resampled(field, (face + displacement(face))[None])[0] - face).mean() < 1.5
        hair, new = whole(HALF[HAIR])
        assert np.abs(resampled(field, new[None])[0] - hair).mean() < 4
        across, down = np.diff(field[..., 0], axis=1), np.diff(field[..., 1], axis=0)
        assert (across > 0).all() and (down > 0).all()


def test_a_turned_head_is_told_by_its_nose(mean_face):
    """The mean portrait looks ahead; a nose to the side does not."""
    assert turned(PORTRAIT) < 0.1
    nose = np.zeros((68, 2))
    nose[27:36, 0] = 6
    assert turned(PORTRAIT + nose) > 4
