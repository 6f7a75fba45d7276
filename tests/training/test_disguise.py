import numpy as np
import pytest

from training.data import disguise as looks
from training.data.recognition import FRAME, MARGIN

WIDTH, HEIGHT = 96, 112


def crop():
    """A smooth colourful picture of the size that training cuts."""
    y, x = np.mgrid[: FRAME.height, : FRAME.width]
    return np.stack([x * 1.8, y * 1.6, 120 + 60 * np.sin(x / 7) * np.cos(y / 9)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("drawn", [0.0, 1.0])
def test_views_are_pictures_of_the_frame_and_belong_to_their_seed(drawn):
    """uint8 of the size asked for; the same generator state gives the same view, another one another view."""
    first, again, other = (looks.disguise(crop(), WIDTH, HEIGHT, drawn, np.random.default_rng(s)) for s in (1, 1, 2))
    assert first.dtype == np.uint8 and first.shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_move_stays_near_the_middle_of_the_crop():
    """Without a warp a view is the frame inside the margin, but for a few pixels of jitter."""
    middle = crop()[MARGIN:-MARGIN, MARGIN:-MARGIN].astype(int)
    view = looks.moved(crop(), WIDTH, HEIGHT, 0.0, np.random.default_rng(0)).astype(int)
    assert np.abs(view - middle)[..., :2].max() <= 1.8 * (looks.JITTER_PIXELS + 74 * (0.07 + looks.JITTER_SCALE))


def test_smooth_fields_have_length_one_and_do_not_fold():
    """The longest vector has length 1, and at the largest amplitude neighbours keep their order."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        field = looks.smooth_field(WIDTH, HEIGHT, rng)
        assert np.linalg.norm(field, axis=2).max() == pytest.approx(1, abs=1e-5)
        warped = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=2) + field * looks.EXAGGERATION_PIXELS
        (xx, xy), (yx, yy) = (
            (d[..., 0], d[..., 1]) for d in (np.gradient(warped, axis=1), np.gradient(warped, axis=0))
        )
        assert (xx * yy - xy * yx > 0).mean() > 0.98


def test_without_jitter_a_move_is_the_middle_of_the_crop():
    """Level by level."""
    view = looks.moved(crop(), WIDTH, HEIGHT, 0.0, np.random.default_rng(0), jitter=0.0)
    assert np.array_equal(view, crop()[MARGIN:-MARGIN, MARGIN:-MARGIN])


@pytest.mark.parametrize("hand", ["flattened", "posterised", "dabbed", "pencilled", "inked", "degraded"])
def test_every_hand_changes_the_picture_and_keeps_its_form(hand):
    """Each filter returns another uint8 picture of the same size and leaves its input alone."""
    view = crop()
    before = view.copy()
    drawn = getattr(looks, hand)(view, np.random.default_rng(3))
    assert drawn.dtype == np.uint8 and drawn.shape == view.shape
    assert not np.array_equal(drawn, view) and np.array_equal(view, before)
