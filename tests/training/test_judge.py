"""The judge's figures on known cases."""

import numpy as np
import pytest

from training.metrics.judge import Face, Judge, estimates, flat, in_eye_frame, load, measure, sharpness


def made_up(faces, descriptors, images=None):
    blank = np.zeros((256, 256, 3), np.uint8)
    return [
        Face(blank if images is None else images[i], face, d)
        for i, (face, d) in enumerate(zip(faces, descriptors, strict=True))
    ]


def test_outputs_equal_to_their_photos(faces):
    """Copies are detected, kept, nearest to themselves, not exaggerated, not repainted."""
    photos = made_up(faces[:8], np.eye(8, 128))
    figures = measure(list(zip(photos, photos, strict=True)))
    assert figures["detected"] == figures["id_kept"] == figures["id_margin"] == 1
    assert figures["exaggeration"] == pytest.approx(1) and figures["repaint"] == 0 and figures["flatness"] == 0


def test_doubled_deviation_reads_two(faces):
    """Faces twice as far from the mean have exaggeration 2."""
    framed = np.stack([in_eye_frame(face) * 60 + 120 for face in faces[:8]])
    doubled = framed.mean(0) + 2 * (framed - framed.mean(0))
    doubled[:, 36:48] = framed[:, 36:48]
    some = [i for i in range(68) if not 36 <= i < 48]
    figures = measure(list(zip(made_up(framed, np.eye(8, 128)), made_up(doubled, np.eye(8, 128)), strict=True)))
    eyes = ((framed - framed.mean(0))[:, 36:48] ** 2).sum() / ((framed - framed.mean(0)) ** 2).sum()
    assert len(some) == 56 and figures["exaggeration"] == pytest.approx(2 - eyes, abs=1e-6)


def test_every_figure_is_within_its_interval(faces):
    """And one of few people is not sure."""
    photos = made_up(faces[:12], np.eye(12, 128))
    outputs = made_up(faces[12:24], np.eye(12, 128))
    found = estimates(list(zip(photos, outputs, strict=True)))
    assert all(each.low <= each.value <= each.high for each in found.values())
    assert found["id_kept"].low < 0.8 and found["exaggeration"].high > found["exaggeration"].low


def test_a_lost_output_counts_as_lost(faces):
    """An output without a face is neither detected nor kept."""
    photos = made_up(faces[:4], np.eye(4, 128))
    figures = measure([*zip(photos[:3], photos[:3], strict=True), (photos[3], None)])
    assert figures["detected"] == figures["id_kept"] == 0.75


def test_another_persons_face_is_not_kept(faces):
    """A descriptor nearer to somebody else fails the margin."""
    photos = made_up(faces[:4], np.eye(4, 128))
    swapped = [photos[1], photos[0], photos[2], photos[3]]
    figures = measure(list(zip(photos, swapped, strict=True)))
    assert figures["id_margin"] == figures["id_kept"] == 0.5


def test_flatness_and_sharpness_of_known_pictures():
    """A plain picture is all flat and has no lines; noise is neither."""
    plain = np.full((32, 32, 3), 90, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    assert flat(plain / 255) == 1 and sharpness(plain) == 0
    assert flat(noise / 255) < 0.1 and sharpness(noise) > 50


def test_one_person_is_nearer_to_himself_than_to_another(pytestconfig):
    """dlib's networks, as the judge calls them, tell two people of the assets apart."""
    judge, assets = Judge(), pytestconfig.rootpath / "tests" / "assets"
    neutral, smiling, other = (
        judge.face(load(assets / f"{name}.jpg")).descriptor
        for name in ("person1-neutral", "person1-smiling", "person2-neutral")
    )
    assert np.linalg.norm(neutral - smiling) < 0.6 < np.linalg.norm(neutral - other)
