"""The procedural cartoonist, on made-up portraits: an oval face, eyes and mouth, hair or none, before a plain wall."""

import cv2
import numpy as np
import pytest

from training.data.cartoonist import cartoon
from training.data.materials import Material
from training.data.traits import lab

SKIN, WALL = (224, 172, 150), (90, 120, 170)
BLACK, GREY, BROWN = (32, 27, 27), (165, 156, 148), (92, 66, 52)


def portrait(face, hair=None, glasses=False):
    """A photo uint8 [256, 256, 3] of the face, with hair of a colour, or bald, perhaps with glasses."""
    photo = np.full((256, 256, 3), WALL, np.uint8)
    cv2.ellipse(photo, (128, 128), (64, 98), 0, 0, 360, SKIN, -1)
    if hair is not None:
        cv2.ellipse(photo, (128, 118), (72, 96), 0, 180, 360, hair, -1)
        cv2.ellipse(photo, (128, 128), (60, 64), 0, 0, 360, SKIN, -1)
    cv2.fillConvexPoly(photo, cv2.convexHull(np.round(face[:17]).astype(np.int32)), SKIN)
    for brow in (face[17:22], face[22:27]):
        cv2.polylines(photo, [np.round(brow).astype(np.int32)], False, BROWN, 3)
    for eye in (face[36:42], face[42:48]):
        cv2.fillPoly(photo, [np.round(eye).astype(np.int32)], (240, 240, 240))
        cv2.circle(photo, tuple(int(each) for each in eye.mean(0).round()), 4, BROWN, -1)
        if glasses:
            cv2.circle(photo, tuple(int(each) for each in eye.mean(0).round()), 20, (20, 20, 20), 3)
    if glasses:
        cv2.line(photo, (118, 113), (137, 113), (20, 20, 20), 3)
        for ear, rim in ((60, 80), (195, 175)):
            cv2.line(photo, (ear, 114), (rim, 114), (20, 20, 20), 3)
    cv2.fillPoly(photo, [np.round(face[60:68]).astype(np.int32)], (235, 232, 228))
    return cv2.GaussianBlur(photo, (0, 0), 0.8)


@pytest.fixture(name="drawn", scope="module")
def drawn_(mean_face):
    """Cartoons of one face with other hair, and with glasses."""
    photos = {
        "black": portrait(mean_face, BLACK),
        "grey": portrait(mean_face, GREY),
        "bald": portrait(mean_face),
        "glasses": portrait(mean_face, BLACK, glasses=True),
    }
    return {name: cartoon(photo, mean_face).picture for name, photo in photos.items()}


def crown(picture):
    """The median colour between forehead and top of the head, CIE Lab."""
    return lab(np.median(picture[28:42, 100:120].reshape(-1, 3), 0)[None])[0]


def test_a_cartoon_is_deterministic(photo, mean_face):
    """The same photo is the same cartoon, of the photo's size."""
    first = cartoon(photo, mean_face).picture
    assert first.shape == photo.shape and first.dtype == np.uint8
    assert (first == cartoon(photo, mean_face).picture).all()


def test_a_cartoon_is_its_regions_in_the_colours_of_its_palette(photo, mean_face):
    """But for the pixels in which two regions meet; lids, eyes and skin are where the face has them."""
    made = cartoon(photo, mean_face)
    flat = made.palette[made.regions]
    assert (np.abs(flat.astype(int) - made.picture).max(-1) < 3).mean() > 0.85
    assert set(np.unique(made.regions)) <= set(Material) and made.palette.shape == (len(Material), 3)
    assert made.regions[5, 5] == Material.GROUND and made.regions[150, 90] == Material.SKIN
    assert (made.regions[100:135, 70:115] == Material.IRIS).any()


def test_the_ground_is_white(drawn):
    """Whatever stood behind the head."""
    for picture in drawn.values():
        assert (picture[:20, :8] == 255).all() and (picture[-12:] == 255).all() and (picture[230:, :60] == 255).all()


def test_a_cartoon_is_flat(photo, mean_face):
    """Half of its pixels at least are exactly their neighbours' colour."""
    picture = cartoon(photo, mean_face).picture.astype(int)
    assert (np.abs(np.diff(picture, axis=1)).max(-1) == 0).mean() > 0.5


def test_hair_keeps_its_colour(drawn):
    """Black hair is dark, grey hair is light and has little colour."""
    black, grey = crown(drawn["black"]), crown(drawn["grey"])
    assert black[0] < 25
    assert grey[0] > 55 and np.hypot(*grey[1:]) < 14


def test_bald_stays_bald(drawn):
    """Where others have hair there is the colour of the cheeks."""
    cheek = lab(np.median(drawn["bald"][140:150, 85:105].reshape(-1, 3), 0)[None])[0]
    assert np.linalg.norm(crown(drawn["bald"]) - cheek) < 3


def test_glasses_are_kept(drawn):
    """Below the eyes there is a dark line with glasses, and none without."""
    below = {name: drawn[name][126:145, 88:100].min() for name in ("black", "glasses")}
    assert below["glasses"] < 90 < below["black"]


def test_dark_skin_is_darker(mean_face):
    """Of two people under one light the darker one is drawn darker."""
    light = portrait(mean_face, BLACK)
    inside = np.linalg.norm(light.astype(int) - SKIN, axis=-1) < 20
    dark = np.where(inside[..., None], (112, 74, 58), light).astype(np.uint8)
    tones = [
        lab(np.median(cartoon(each, mean_face).picture[140:150, 85:105].reshape(-1, 3), 0)[None])[0, 0]
        for each in (light, dark)
    ]
    assert tones[1] < tones[0] - 15
