"""Portraits made over, on real faces."""

import cv2
import numpy as np
import pytest

from training.data.heads import cheeks, head
from training.data.makeover import bespectacled, dyed, hair_mask
from training.data.traits import HAIRS, hair_pixels, inside, lab, traits


@pytest.fixture(name="people", scope="module")
def people_(portraits):
    """Photos, landmarks and the borders of hair of those who have some."""
    found = [(photo, face, head(photo, face)) for photo, face in portraits]
    return [each for each in found if len(hair_pixels(each[0], each[2])) > 60]


def test_dyed_hair_is_of_another_colour_and_the_face_of_its_own(people):
    """Of many dyes some are far lighter than others, and no cheek changes."""
    for photo, face, borders in people:
        many = [dyed(photo, borders, np.random.default_rng(seed)) for seed in range(8)]
        light = [lab(np.median(hair_pixels(each, borders), 0)[None])[0, 0] for each in many]
        assert max(light) - min(light) > 25
        for each in many:
            assert np.abs(inside(each, cheeks(face, 0.7)) - inside(photo, cheeks(face, 0.7))).mean() < 3


def test_who_has_no_hair_is_left_alone(portraits):
    """Nothing is dyed where nothing grows."""
    photo, face = portraits[0]
    borders = head(photo, face)
    bald = type(borders)(borders.centre, borders.angles, borders.outer, borders.outer)
    assert not hair_mask(bald).any()
    assert np.array_equal(dyed(photo, bald, np.random.default_rng(0)), photo)


def test_dyes_are_colours_that_hair_has():
    """Nobody is dyed blue: red is strongest in each, or none is."""
    assert all(colour[0] >= colour.max() - 1 for colour in HAIRS[:, 0])


def test_glasses_are_put_about_the_eyes(people):
    """They change what is about the eyes and little else, and most are seen for what they are."""
    seen = []
    for photo, face, borders in people:
        eyes = np.zeros(photo.shape[:2], np.uint8)
        cv2.fillConvexPoly(eyes, cv2.convexHull(np.round(face[17:48]).astype(np.int32)), 1)
        near = cv2.dilate(eyes, np.ones((61, 61), np.uint8)) > 0
        for seed in range(8):
            worn = bespectacled(photo, face, np.random.default_rng(seed))
            changed = np.abs(worn.astype(int) - photo).max(-1) > 30
            assert changed[near].sum() > 100 and not changed[~near].any()
            seen.append(traits(worn, face, borders).glasses)
    assert np.mean(seen) > 0.6


def test_a_makeover_is_repeated_by_its_seed(people):
    """The same numbers, the same picture."""
    photo, face, borders = people[0]
    for make in (lambda random: dyed(photo, borders, random), lambda random: bespectacled(photo, face, random)):
        assert np.array_equal(make(np.random.default_rng(5)), make(np.random.default_rng(5)))
