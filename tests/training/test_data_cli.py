"""`likeness data`: every command, and what each says of a set that is broken."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner, Result

import training.cli
from export.alignment import SPHEREFACE, SQUARE_256
from service.cli import app
from tests.training import sets
from tests.training.disk import full
from training.data.cli import Format, Frame
from training.data.crops import TEMPLATES
from training.data.identities import Identities, Views
from training.data.pack import Pack
from training.data.recognition import Faces

ASSETS = Path(__file__).parents[1] / "assets"
BUNDLED = Path(__file__).parents[2] / "models"


def run(*arguments: object) -> Result:
    """`likeness data ...` in a terminal wide enough for paths."""
    environment = {"COLUMNS": "300", "LIKENESS_MODELS": str(BUNDLED)}
    return CliRunner().invoke(app, ["data", *map(str, arguments)], env=environment)


def done(*arguments: object) -> str:
    """What a command that succeeds says on stdout."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    """What a command that fails says on stderr, in one line and not in a traceback."""
    result = run(*arguments)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
    return result.stderr.strip().splitlines()[-1]


def rows(listed: Path) -> list[dict[str, str]]:
    """Of a table."""
    with listed.open(newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture(name="photos")
def photos_(tmp_path: Path) -> Path:
    """A folder of three portraits, a picture without a face, and half a picture."""
    root = tmp_path / "photos"
    root.mkdir()
    for path in ASSETS.glob("person*.jpg"):
        (root / path.name).write_bytes(path.read_bytes())
    sets.picture(root / "nobody.png", size=(256, 256))
    whole = (ASSETS / "person1-neutral.jpg").read_bytes()
    (root / "half.jpg").write_bytes(whole[: len(whole) // 2])
    return root


@pytest.fixture(name="crops")
def crops_(tmp_path: Path) -> Path:
    """The table of aligned drawings and photos of two people, with 17 points."""
    sets.web_caricature(tmp_path / "wc")
    done("align", tmp_path / "wc", "--format", "webcaricature", "--template", "satnet", "--into", tmp_path / "crops")
    return tmp_path / "crops" / "index.csv"


def test_the_options_are_what_there_is() -> None:
    """Every template has its name."""
    assert {frame.value for frame in Frame} == set(TEMPLATES)


@pytest.mark.parametrize("form", Format)
def test_every_format_is_listed(form: Format, tmp_path: Path) -> None:
    """Counts, and a table that says the same."""
    made = {
        Format.FOLDER: lambda: sets.folder(tmp_path / "set"),
        Format.UNPAIRED: lambda: sets.folder(sets.folder(tmp_path / "set" / "trainA").parent / "trainB").parent,
        Format.CLASSES: lambda: sets.folder(tmp_path / "set" / "Ada").parent,
        Format.ATTRIBUTES: lambda: sets.attribute_list(tmp_path / "list.txt", 4),
        Format.TABLE: lambda: sets.people(tmp_path / "set", 2),
        Format.WEB_CARICATURE: lambda: sets.web_caricature(tmp_path / "set"),
        Format.CARTOON_SET: lambda: sets.cartoon_set(tmp_path / "set", 4),
    }[form]()
    count = {Format.UNPAIRED: 8, Format.WEB_CARICATURE: 6}.get(form, 4)
    table = tmp_path / "found" / "index.csv"
    said = done("list", made, "--format", form, "--into", table)
    assert f"{count} pictures" in said
    assert done("list", table) == said


def test_domains_can_be_given_and_renamed(tmp_path: Path) -> None:
    """trainA is of photos only if somebody says so."""
    sets.folder(sets.folder(tmp_path / "trainA", 2).parent / "trainB", 3)
    said = done("list", tmp_path, "--format", "trainA-trainB", "--domain", "A=photo", "--domain", "B=drawing")
    assert "3 drawing, 2 photo" in said
    assert "5 drawing" in done("list", tmp_path, "--domain", "drawing")


def test_faces_are_aligned_as_the_service_finds_them(photos: Path, tmp_path: Path) -> None:
    """Three faces stand in the frame; the picture without one and the broken file are rejected with the reason."""
    said = done("align", photos, "--domain", "photo", "--into", tmp_path / "crops")
    assert "5 pictures, 2 rejected" in said
    found = {Path(row["file"]).stem.rpartition("-")[2]: row for row in rows(tmp_path / "crops" / "index.csv")}
    assert found["half"]["rejected"].startswith("cannot be read: ") and str(photos) in found["half"]["file"]
    assert found["nobody"]["rejected"] == "no face was found in the picture"
    aligned = [row for row in found.values() if not row["rejected"]]
    assert len(aligned) + 1 == 3  # two are "neutral"
    for row in aligned:
        with Pillow.open(tmp_path / "crops" / "img" / row["file"]) as opened:
            assert opened.size == (SQUARE_256.width, SQUARE_256.height)
        points = [[float(row[f"{axis}{number}"]) for axis in "xy"] for number in range(5)]
        assert np.abs(np.array(points) - np.array(SQUARE_256.points)).max() < 15
    assert "holds a set already" in refused("align", photos, "--into", tmp_path / "crops")


def test_nothing_to_align_is_said(tmp_path: Path) -> None:
    """No picture with a face; and without the service nobody finds one."""
    sets.folder(tmp_path / "set", 2, (256, 256))
    assert "none of 2 pictures can be aligned" in refused("align", tmp_path / "set", "--into", tmp_path / "crops")
    alone = CliRunner().invoke(
        training.cli.app, ["data", "align", str(tmp_path / "set"), "--into", str(tmp_path / "crops")]
    )
    assert "only the command `likeness` finds them" in alone.stderr


def test_rejection_marks_and_removes_nothing(crops: Path, tmp_path: Path) -> None:
    """An orderly face is kept; of one out of order all reasons stand in the table; with patience it is taken back."""
    assert "6 pictures, 0 rejected" in done("reject", crops, "--template", "satnet")
    listed = rows(crops)
    for axis in "xy":  # the chin and the nose change places
        listed[1][f"{axis}2"], listed[1][f"{axis}12"] = listed[1][f"{axis}12"], listed[1][f"{axis}2"]
    broken = sets.table(crops, list(listed[0]), [list(row.values()) for row in listed])
    assert "6 pictures, 1 rejected" in done("reject", broken, "--template", "satnet")
    reasons = rows(broken)[1]["rejected"]
    assert "nose and mouth are not where they belong; " in reasons
    assert [row["file"] for row in rows(broken)] == [row["file"] for row in listed]
    assert len(list((crops.parent / "img").iterdir())) == 6
    assert "6 pictures, 6 rejected" in done("reject", broken, "--template", "satnet", "--tolerance", "0.000001")
    assert "1 rejected" in done("reject", broken, "--template", "satnet")
    assert "the template 256 x 256: align" in refused("reject", broken)


def test_a_split_is_disjoint_over_all_tables(tmp_path: Path) -> None:
    """Photos and drawings of one person go to the same part."""
    tables = [sets.people(tmp_path / name, 10) for name in ("photos", "drawings")]
    done("split", *tables, "--share", "test=0.2", "--share", "val=0.2")
    parts = [{(row["person"], row["split"]) for row in rows(table)} for table in tables]
    assert parts[0] == parts[1] and len(parts[0]) == 10
    assert sorted(part for _, part in parts[0]) == ["test"] * 2 + ["train"] * 6 + ["val"] * 2


def test_a_protocol_says_who_is_in_the_test(tmp_path: Path) -> None:
    """View 1 of WebCaricature."""
    table = sets.people(tmp_path, 3)
    (tmp_path / "DevTest.txt").write_text("1\np1\t2\t0\n")
    assert "test" in done("split", table, "--people", f"test={tmp_path / 'DevTest.txt'}")
    assert [row["split"] for row in rows(table)] == ["train", "train", "test", "test", "train", "train"]
    (tmp_path / "DevTest.txt").write_text("2\np1\t2\t0\n")
    said = refused("split", table, "--people", f"test={tmp_path / 'DevTest.txt'}")
    assert "DevTest.txt:1: 2 persons announced" in said


def test_one_identity_cannot_be_split(tmp_path: Path) -> None:
    """Nor can a share be anything; the table stays as it is."""
    table = sets.people(tmp_path, 1, each=5)
    before = table.read_bytes()
    assert "all are of 'p0'" in refused("split", table, "--share", "test=0.5")
    assert run("split", table).exit_code == run("split", table, "--share", "half").exit_code == 2
    assert run("split", table, "--share", "test=half").exit_code == 2
    assert table.read_bytes() == before


def test_a_report_is_one_page(crops: Path, tmp_path: Path) -> None:
    """It tells domains, persons, sizes, and complains on stderr too."""
    result = run("report", crops, "--into", tmp_path / "pages" / "report.html")
    assert result.exit_code == 0 and "the domain photo has 2 pictures" in result.stderr
    page = (tmp_path / "pages" / "report.html").read_text()
    for told in ("drawing", "photo", "Ada Lovelace", "200 x 232", "mean"):
        assert told in page


def test_a_pack_has_what_all_pictures_have(crops: Path, tmp_path: Path) -> None:
    """Domains, persons and points; of one part, if one is asked for."""
    done("split", crops, "--share", "test=0.5")
    assert "6 pictures (4 drawing, 2 photo)" in done("pack", crops, "--into", tmp_path / "all.pack")
    pack = Pack(tmp_path / "all.pack")
    assert pack.columns["points"].shape == (6, 17, 2) and pack.images().shape == (6, 232, 200, 3)
    assert set(pack.names["person"]) == {"Ada Lovelace", "Bo"} and set(pack.names["split"]) == {"test", "train"}
    done("pack", crops, "--split", "train", "--into", tmp_path / "train.pack")
    assert len(Pack(tmp_path / "train.pack")) == 3


def test_a_pack_says_where_its_pictures_come_from(tmp_path: Path) -> None:
    """By the table's column `source`, through every other command; without one a pack says nothing, and opens too."""
    terms = {"Ada": "album (CelebA, non-commercial research)", "Bo": "toys (CC0)"}
    listed = [(f"{number}.png", *known) for number, known in enumerate(terms.items())]
    for file, *_ in listed:
        sets.picture(tmp_path / "img" / file, size=(SPHEREFACE.width, SPHEREFACE.height))
    lines = [f'{file},{person},"{source}"' for file, person, source in listed]
    (tmp_path / "index.csv").write_text("\n".join(["file,person,source", *lines]))
    done("list", tmp_path / "index.csv", "--into", tmp_path / "again" / "index.csv")
    done("pack", tmp_path / "again" / "index.csv", "--into", tmp_path / "x.pack")
    pack = Pack(tmp_path / "x.pack")
    assert dict(zip(Faces.of(pack).persons, Faces.of(pack).sources, strict=True)) == terms
    assert Identities(pack, Views()).sources == tuple(terms.values())
    (tmp_path / "index.csv").write_text("\n".join(["file,person", *(f"{file},{person}" for file, person, _ in listed)]))
    done("pack", tmp_path / "index.csv", "--into", tmp_path / "old.pack")
    old = Pack(tmp_path / "old.pack")
    assert "source" not in old.names and Identities(old, Views()).sources == ()
    assert Faces.of(old).sources.tolist() == ["", ""]


def test_rejected_pictures_are_packed_only_if_asked_for(photos: Path, tmp_path: Path) -> None:
    """What cannot be read is among them, and is named then."""
    table = tmp_path / "crops" / "index.csv"
    done("align", photos, "--into", table.parent)
    assert "3 pictures" in done("pack", table, "--into", tmp_path / "x.pack")
    assert "half.jpg cannot be read" in refused("pack", table, "--rejected", "--into", tmp_path / "y.pack")
    assert not (tmp_path / "y.pack").exists()


def test_a_corrupt_picture_in_a_set_is_named(photos: Path, tmp_path: Path) -> None:
    """Where nobody has rejected it yet."""
    assert "half.jpg cannot be read" in refused("pack", photos, "--side", 64, "--into", tmp_path / "x.pack")


def test_mixed_sizes_are_named_or_made_one(tmp_path: Path) -> None:
    """Which picture differs from which."""
    sets.folder(tmp_path / "set", 2)
    sets.picture(tmp_path / "set" / "9.png", 9, (30, 20))
    said = refused("pack", tmp_path / "set", "--into", tmp_path / "x.pack")
    assert "9.png has 30 x 20 pixels" in said and "0.png 48 x 48" in said and "--side" in said
    done("pack", tmp_path / "set", "--side", 16, "--into", tmp_path / "x.pack")
    assert Pack(tmp_path / "x.pack").images().shape == (3, 16, 16, 3)


def test_a_domain_that_would_be_empty_is_named(crops: Path, tmp_path: Path) -> None:
    """Before a run finds out."""
    kept = rows(crops)
    for row in kept:
        row["rejected"] = "ugly" if row["domain"] == "photo" else ""
    sets.table(crops, list(kept[0]), [list(row.values()) for row in kept])
    assert "the domain photo has no picture left" in refused("pack", crops, "--into", tmp_path / "x.pack")
    assert "there is no part dev" in refused("pack", crops, "--split", "dev", "--into", tmp_path / "x.pack")


@pytest.mark.parametrize("command", ["list", "report", "pack", "align"])
def test_a_landmark_file_with_a_wrong_count_is_named(command: str, tmp_path: Path) -> None:
    """By every command that reads the set."""
    sets.web_caricature(tmp_path / "wc", sets.SEVENTEEN[:16])
    said = refused(command, tmp_path / "wc", "--format", "webcaricature", "--into", tmp_path / "into")
    assert "C00001.txt: 16 points instead of 17" in said


@pytest.mark.parametrize("command", ["list", "report", "pack", "align"])
def test_a_set_that_is_not_there_is_named(command: str, tmp_path: Path) -> None:
    """A folder, a table, an empty folder."""
    (tmp_path / "empty").mkdir()
    for name, complaint in (("no", "no is no folder"), ("no.csv", "no.csv cannot be read"), ("empty", "no pictures")):
        assert complaint in refused(command, tmp_path / name, "--into", tmp_path / "into")


def test_a_full_disk_is_told_with_the_file(tmp_path: Path) -> None:
    """A crop, or a page; of neither is there a half, and an earlier page stays."""
    columns = ["file", *(f"{axis}{number}" for number in range(5) for axis in "xy")]
    sets.picture(tmp_path / "img" / "0.png", size=(256, 256))
    points = np.array(SQUARE_256.points).ravel()
    listed = sets.table(tmp_path / "index.csv", columns, [("0.png", *points)])
    page, crops = tmp_path / "page.html", tmp_path / "crops"
    page.write_text("an earlier one")
    with full(1000):
        assert "00000-0.png cannot be written: File too large" in refused("align", listed, "--into", crops)
        assert f"{page} cannot be written: File too large" in refused("report", listed, "--into", page)
    assert not [path for path in crops.rglob("*") if path.is_file()]
    assert page.read_text() == "an earlier one" and not page.with_suffix(".draft").exists()
