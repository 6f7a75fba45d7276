from dataclasses import replace

import numpy as np
import pytest

from export.parity import ParityError
from training.data.errors import DataError
from training.data.recognition import FRAME, MARGIN, Faces
from training.metrics.encoders import (
    against_others,
    agreement,
    calibrate,
    populations,
    ranks,
    realised,
    table,
    thresholds,
    unit,
    verified,
)


def faces():
    """Forty people of faces-id and landmarks68 with three photos each, thirty of congress256, told apart by colour."""
    rng = np.random.default_rng(0)
    names = [f"{folder}/{i // 3}" for folder in ("faces-id", "landmarks68") for i in range(60)] + [""] * 30
    people = {name: rng.integers(40, 216, 3) for name in set(names)}
    colours = np.array([people[name] if name else rng.integers(40, 216, 3) for name in names])
    crops = np.clip(colours + rng.integers(-4, 5, (len(names), 3)), 0, 255).astype(np.uint8)
    crops = np.broadcast_to(crops[:, None, None], (len(names), FRAME.height, FRAME.width, 3))
    points = np.broadcast_to(np.float32(FRAME.points), (len(names), 5, 2))
    sources = np.array([f"{name.split('/')[0] or 'congress256'} (some terms)" for name in names])
    return Faces(crops, points, colours.astype(np.float32) / 255, np.array(names), np.full(150, "test"), sources)


def embed(frames):
    """A toy encoder: the mean colour, less its usual value, at length one."""
    colours = frames.mean((1, 2)) - 128.0
    return (colours / np.linalg.norm(colours, axis=1, keepdims=True)).astype(np.float32)


def test_photos_without_a_name_are_people_of_their_own():
    """congress256 has one photo a person: as many people as photos, and all pairs are impostors."""
    groups = populations(faces())
    assert {name: (len(group), len(set(group.persons))) for name, group in groups.items()} == {
        "congress256": (30, 30),
        "faces-id": (60, 20),
        "landmarks68": (60, 20),
    }


def test_no_population_has_a_higher_rate_than_promised():
    """Confusable people decide the threshold, however many strangers are in the other populations."""
    strangers, alike = np.linspace(-1, 0, 10_001), np.linspace(0, 1, 1001)
    limit = thresholds([strangers, alike])["0.01"]
    assert (alike >= limit).mean() == pytest.approx(0.01, abs=0.001) and (strangers >= limit).mean() == 0


def test_figures_of_a_run_are_of_sets_with_pairs_of_both_kinds():
    """congress256 has none of one person; colours tell the others apart."""
    found = verified(embed, faces())
    assert found.keys() == {f"{name}/{figure}" for name in ("faces-id", "landmarks68") for figure in ("tar", "auc")}
    assert found["faces-id/auc"] > 0.9


def test_thresholds_are_of_sets_of_two_people_or_more():
    """One person alone is passed over in a set, and said if there is nobody else; the tables have a dash for it."""
    everyone = faces()
    alone = everyone.persons == "faces-id/0"
    limits = calibrate(embed, everyone[alone | (everyone.sources == "landmarks68 (some terms)")])
    assert limits == calibrate(embed, everyone[everyone.sources == "landmarks68 (some terms)"])
    with pytest.raises(DataError, match=r"two people of one set.*: faces-id"):
        calibrate(embed, everyone[alone])
    assert "faces-id" not in table(embed, everyone[alone])
    assert "| faces-id | 1.0% | - |" in realised(embed, everyone[alone], limits)


@pytest.mark.parametrize("people", [2, 3])
def test_a_few_people_have_figures_too(people):
    """With intervals, though many draws of so few have pairs of one kind only."""
    some = faces()[: 3 * people]
    assert table(embed, some).count("this model") == 1 and "nan" not in table(embed, some)


def test_the_tables_name_every_population_and_both_recognisers():
    """Figures stand where there are pairs of one person; the thresholds' effect stands for all."""
    text = table(embed, faces())
    assert text.count("this model") == text.count("dlib") == 2 and "congress256" not in text
    limits = calibrate(embed, faces())
    assert set(limits) == {"0.01", "0.001"} and limits["0.01"] <= limits["0.001"]
    assert realised(embed, faces(), limits).count("congress256") == 2


def test_without_descriptors_there_is_no_second_recogniser():
    """A pack of one's own has figures too."""
    everyone = faces()
    some = replace(everyone[:24], descriptors=np.zeros((24, 0), np.float32))
    assert table(embed, some).count("this model") == 1 and "dlib" not in table(embed, some)


def turned(degrees, *rows):
    """The toy encoder with these rows of embeddings turned about an axis; all, if none is named."""

    def short(frames):
        found = embed(frames)
        angle = np.radians(degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]], np.float32)
        which = list(rows) or slice(None)
        found[which] = found[which] @ turn
        return found

    return short


def test_shortened_weights_agree_where_every_face_stays_itself():
    """Nothing changes: 0. All are turned alike, by 5 degrees: no pair changes, and the distance is told."""
    assert agreement(embed, embed, faces(), "float16") == pytest.approx({"cosine": 0, "tar": 0}, abs=1e-6)
    found = agreement(embed, turned(5), faces(), "int8")
    assert 0 < found["cosine"] <= 1 - np.cos(np.radians(5)) + 1e-6 and found["tar"] == 0


def test_a_face_that_is_somebody_else_by_shortened_weights_is_refused():
    """One of all is enough; int8 may be further off than float16."""
    with pytest.raises(ParityError, match=r"a face of congress256 has the cosine 0\.\d+ by int8; 0.99 is asked"):
        agreement(embed, turned(40), faces(), "int8")
    with pytest.raises(ParityError, match=r"a face of .* by float16; 0.999 is asked"):
        agreement(embed, turned(40, 3), faces(), "float16")
    with pytest.raises(ParityError, match="nan"):
        agreement(embed, lambda frames: embed(frames) * np.nan, faces(), "float16")


def circle(degrees):
    """An encoder by the number that is a face's first pixel: whoever is there on a circle."""

    def found(frames):
        angles = np.radians(np.asarray(degrees)[frames[:, 0, 0, 0]])
        return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)

    return found


def test_shortened_weights_that_confuse_people_are_refused():
    """Though each face alone stays near itself, within 5 degrees: every other person comes to where the next one is."""
    count = 60
    crops = np.zeros((2 * count, FRAME.height, FRAME.width, 3), np.uint8)
    crops += np.arange(2 * count, dtype=np.uint8)[:, None, None, None]
    names = np.repeat([f"p{person}" for person in range(count)], 2)
    points = np.broadcast_to(np.float32(FRAME.points), (2 * count, 5, 2))
    everyone = Faces(crops, points, np.zeros((2 * count, 0)), names, np.full(2 * count, "test"), np.full(2 * count, ""))
    places = np.repeat(np.arange(count) * 6.0, 2) + np.tile([0.0, 1.0], count)
    moved = places + np.tile([0.0, 0.0, 0.0, 5.0], count // 2)
    assert agreement(circle(places), circle(places + 0.1), everyone, "int8")["tar"] == 0
    with pytest.raises(ParityError, match=r"TAR at FAR 1 % of people is 0\.\d+ by int8, 1\.0000 as it was trained"):
        agreement(circle(places), circle(moved), everyone, "int8")


def test_a_drawing_is_searched_among_photos_of_which_none_is_its_own() -> None:
    """By hand: the first person is found, one photo of the second is not; one photo alone is no probe."""
    persons = np.array(["a", "a", "b", "b", "c"])
    cosines = np.array(
        [
            [1.0, 0.9, 0.1, 0.1, 0.2],
            [0.9, 1.0, 0.1, 0.1, 0.2],
            [0.1, 0.1, 1.0, 0.0, 0.2],
            [0.1, 0.1, 0.3, 1.0, 0.2],
            [0.0, 0.0, 0.0, 0.0, 1.0],
        ]
    )
    assert [*ranks(cosines, persons)] == [0, 0, 2, 0]


def test_photos_are_held_against_drawings_of_other_photos() -> None:
    """An encoder that knows a picture again and no person is at chance; one that knows people is right about all."""
    rng = np.random.default_rng(0)
    count, names = 40, np.repeat([f"toys/{person}" for person in range(20)], 2)
    crops = np.zeros((count, FRAME.height, FRAME.width, 3), np.uint8)
    crops[:, MARGIN, MARGIN, 0] = np.arange(count)
    split, source = np.full(count, "test"), np.full(count, "toys (CC0)")
    faces = Faces(crops, np.zeros((count, 5, 2)), np.zeros((count, 0)), names, split, source)
    pictures, people = rng.standard_normal((count, 512)), np.repeat(rng.standard_normal((20, 512)), 2, axis=0)
    cells = {}
    for name, rows in (("pictures", pictures), ("people", people)):
        known = unit(rows).astype(np.float32)
        (line,) = against_others(lambda frames, known=known: known[frames[:, 0, 0, 0]], faces, faces).splitlines()[2:]
        cells[name] = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells["people"][:2] == ["toys: 20 (40)", "this model"]
    assert cells["people"][-2:] == ["1.000, 1.000"] * 2 and cells["people"][4].startswith("1.0000")
    assert float(cells["pictures"][4].split()[0]) < 0.65
