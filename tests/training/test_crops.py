"""training.data.crops: faces where the template has them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from export.alignment import SPHEREFACE, apply, invert, similarity
from tests.training import sets
from training.data.crops import TEMPLATES, align, check
from training.data.errors import DataError
from training.data.pictures import read
from training.data.points import five
from training.data.rejection import SEPARATOR, verdict
from training.data.sources import Picture, web_caricature

SATNET = TEMPLATES["satnet"]


def test_the_middle_of_satnets_frame_is_twice_spherefaces() -> None:
    """4 pixels more on each side."""
    assert (SATNET.width - 8, SATNET.height - 8) == (2 * SPHEREFACE.width, 2 * SPHEREFACE.height)
    assert np.allclose(np.array(SATNET.points) - 4, 2 * np.array(SPHEREFACE.points))


def test_points_move_as_pixels_do(tmp_path: Path) -> None:
    """A white spot at a point is found at the point that is written."""
    turn = np.array([[0.8, -0.6, 100.0], [0.6, 0.8, 10.0]])
    points = apply(turn, np.array(SATNET.points))
    image = np.zeros((400, 400, 3), np.uint8)
    x, y = np.rint(points[2]).astype(int)
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    Pillow.fromarray(image).save(tmp_path / "spot.png")
    (found,) = align([Picture(tmp_path / "spot.png", points=points)], SATNET, tmp_path / "img")
    crop = read(found.path)[..., 0].astype(float)
    centre = [(crop * grid).sum() / crop.sum() for grid in np.indices(crop.shape)[::-1]]
    assert found.points is not None and np.abs(found.points - np.array(SATNET.points)).max() < 1e-6
    exact = apply(similarity(points, SATNET.points), [(x, y)])[0]
    assert np.abs(centre - exact).max() < 0.5


def test_every_point_of_a_set_is_moved(tmp_path: Path) -> None:
    """All 17, and person and domain come along."""
    found = align(web_caricature(sets.web_caricature(tmp_path)), SATNET, tmp_path / "crops")
    assert len(found) == 6 and len({each.path for each in found}) == 6
    for each in found:
        assert each.person and each.domain and each.points is not None and each.points.shape == (17, 2)
        back = apply(invert(similarity(five(sets.SEVENTEEN), SATNET.points)), each.points)
        assert np.allclose(back, sets.SEVENTEEN)
    check(found, SATNET)
    with pytest.raises(DataError, match=r"has 200 x 232 pixels, the template 96 x 112"):
        check(found, SPHEREFACE)


def test_what_cannot_be_cut_stays_with_its_reason(tmp_path: Path) -> None:
    """A broken file, a picture without a face, points that are no face; the rest goes on."""
    good = Picture(sets.picture(tmp_path / "good.png"), points=np.array(SPHEREFACE.points))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    blank = Picture(sets.picture(tmp_path / "blank.png"))
    flat = Picture(sets.picture(tmp_path / "flat.png"), points=np.zeros((5, 2)))

    def finder(content: bytes) -> np.ndarray:
        raise ValueError("no face was found in the picture")

    rows = align([Picture(tmp_path / "broken.png"), good, blank, flat], SPHEREFACE, tmp_path / "img", finder)
    assert [bool(each.rejected) for each in rows] == [True, False, True, True]
    assert rows[0].rejected.startswith("cannot be read") and rows[0].path == tmp_path / "broken.png"
    assert rows[2].rejected == "no face was found in the picture" and "coincide" in rows[3].rejected
    with pytest.raises(DataError, match=r"none of 1 pictures can be aligned; .*blank\.png: no face"):
        align([blank], SPHEREFACE, tmp_path / "other", finder)


def test_a_verdict_is_given_anew_and_others_stay() -> None:
    """A rule that no longer holds is taken back; what somebody else found is not."""
    far = Picture(Path("a.png"), points=np.array(SPHEREFACE.points) + 30, rejected="ugly")
    rejected = verdict(far, SPHEREFACE)
    assert rejected.split(SEPARATOR)[0] == "ugly" and "far from its place" in rejected
    near = Picture(Path("a.png"), points=np.array(SPHEREFACE.points), rejected=rejected)
    assert verdict(near, SPHEREFACE) == "ugly"
    assert verdict(Picture(Path("a.png"), rejected="no face"), SPHEREFACE) == "no face"
