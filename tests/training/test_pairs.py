"""Pairs that the procedural caricaturist draws."""

import cv2
import numpy as np

from training.data.caricaturist import CODE_SIZE
from training.data.painter import STYLE_SIZE, Look, paint
from training.data.pairs import WARP_CELLS, cartoon_pair, cell_centres, drawing_pair, resampled, shape_pair


def test_a_shape_is_labelled_with_the_displacement_of_its_code(photo, faces, space):
    """The displacement is the space's own for the reshaped face and its code, and the field carries it."""
    coded = 0
    for seed in range(4):
        pair = shape_pair(photo, faces[0], space, np.random.default_rng(seed))
        face, move, code, field = (pair.numbers[name] for name in ("landmarks", "displacement", "code", "field"))
        assert pair.image.shape == (128, 128, 3) and code.shape == (CODE_SIZE,)
        assert np.allclose(move, space.displacement(face.astype(float), code=code), atol=1e-3)
        back = resampled(cell_centres(WARP_CELLS).reshape(WARP_CELLS, WARP_CELLS, 2) + field, (face + move)[None])[0]
        assert np.abs(back - face).mean() < 1.5
        coded += code.any()
    assert 0 < coded < 4


def test_a_drawing_stands_beside_its_photo(photo, faces, space):
    """On the left the photo, on the right its painting in the style of the pair."""
    pair = drawing_pair(photo, faces[0], space, np.random.default_rng(0))
    left, right = np.hsplit(pair.image, 2)
    assert left.shape == right.shape == photo.shape and pair.numbers["style"].shape == (STYLE_SIZE,)
    again = paint(left, faces[0], Look.from_style(pair.numbers["style"]))
    assert np.abs(again.astype(float) - right).mean() < np.abs(left.astype(float) - right).mean()
    assert cv2.absdiff(left, right).mean() > 3


def test_a_cartoon_stands_beside_its_photo(photo, faces, space):
    """On the left the photo, on the right its cartoon on white; the style is that of no other look."""
    pair = cartoon_pair(photo, faces[0], space, np.random.default_rng(0))
    left, right = np.hsplit(pair.image, 2)
    assert left.shape == right.shape == photo.shape
    assert (right[:20, :8] == 255).all() and cv2.absdiff(left, right).mean() > 3
    assert pair.numbers["style"].shape == (STYLE_SIZE,) and not pair.numbers["style"].any()
