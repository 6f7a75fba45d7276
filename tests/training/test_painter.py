"""training.data.painter: photos as a hand sees them, and drawn."""

import cv2
import numpy as np
import pytest

from training.data.looks import STYLES
from training.data.painter import paint, stroke_direction
from training.metrics.judge import flat


def test_strokes_follow_an_edge():
    """Along a vertical edge the strokes run vertically."""
    photo = np.zeros((64, 64, 3), np.float32)
    photo[:, 32:] = 1
    direction = stroke_direction(photo)[20:44, 30:34]
    assert (np.abs(direction[..., 1]) > 0.99).all()


def test_painting_is_deterministic(photo, mean_face):
    """The same photo in the same look is the same drawing."""
    look = STYLES["gouache"].style()
    assert (paint(photo, mean_face, look) == paint(photo, mean_face, look)).all()


def test_the_default_look_is_flat_paint(photo, mean_face):
    """The drawing has clearly more pixels that equal their neighbours than the photo."""
    drawing = paint(photo, mean_face, STYLES["gouache"].style())
    face = np.s_[80:230, 60:200]
    assert flat(drawing[face] / 255) > flat(photo[face] / 255) + 0.1


def test_dark_skin_keeps_its_colour(photo, mean_face):
    """Paint that is lit shows more of the skin's colour: less of it is lost than in the dark photo itself."""
    dark = np.clip(photo.astype(float) * 0.4, 0, 255).astype(np.uint8)
    painted = [chroma(paint(each, mean_face, STYLES["gouache"].style())) for each in (photo, dark)]
    assert painted[1] / painted[0] > 1.1 * chroma(dark) / chroma(photo)


def chroma(picture):
    """Of a cheek, in CIE Lab."""
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.linalg.norm(lab[130:150, 80:95, 1:].mean((0, 1)))


def test_ink_has_two_tones(photo, mean_face):
    """Four pixels of five are ink or paper."""
    tone = paint(photo, mean_face, STYLES["ink"].style()).mean(-1)
    assert ((tone < 90) | (tone > 190)).mean() > 0.8


def test_pencil_is_grey_and_poster_is_vivid(photo, mean_face):
    """Looks without colour have next to none, vivid looks more than the photo."""
    spread = {
        name: np.ptp(paint(photo, mean_face, STYLES[name].style()).astype(int), axis=-1).mean()
        for name in ("pencil", "poster")
    }
    assert spread["pencil"] < 20 < spread["poster"]


@pytest.mark.parametrize(
    "a, b",
    [
        ("gouache", "ink"),
        ("ink", "engraving"),
        ("pencil", "poster"),
        ("wash", "gouache"),
        ("comic", "ink"),
        ("oil", "gouache"),
    ],
)
def test_looks_differ(photo, mean_face, a, b):
    """Two looks of one face are two pictures."""
    one, other = (paint(photo, mean_face, STYLES[name].style()).astype(float) for name in (a, b))
    assert np.abs(one - other).mean() > 5
