"""training.data.mouths: a mouth that is turned where it is."""

import numpy as np
import pytest

from tests.training.labelled import POINTS, face
from training.data.mouths import turned

SMILING, NOT = face(3, True, True), face(3, True, False)


def test_a_smile_upside_down_is_none() -> None:
    """About as if it had been drawn so, and nothing else is changed."""
    found = turned(SMILING, upside_down=True).astype(int)
    assert np.abs(found - NOT).mean() < np.abs(found - SMILING).mean() / 2
    changed = np.abs(found - SMILING).sum(2) > 0
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    middle = POINTS[3:].mean(0)
    assert np.abs(rows - middle[1]).max() < 7 and np.abs(columns - middle[0]).max() < 11


def test_a_smile_in_the_mirror_is_one() -> None:
    """What is as wide to the left as to the right stays, to a pixel."""
    found = turned(SMILING, upside_down=False).astype(int)
    assert np.abs(found - SMILING).mean() < np.abs(found - NOT).mean() / 2


@pytest.mark.parametrize("side", [32, 64, 256])
def test_a_flat_picture_stays_flat(side: int) -> None:
    """At any size; the input is left alone."""
    image = np.full((side, side, 3), 77, np.uint8)
    assert (turned(image, upside_down=True) == 77).all() and (image == 77).all()
