"""training.evaluation: what `likeness eval` says of models whose behaviour is known."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from click.testing import Result
from torch import Tensor, nn
from typer.testing import CliRunner

from export.alignment import SQUARE_256, Template
from export.contract import Contract, Control, ControlError
from export.repository import publish
from tests.conftest import ASSETS, BUNDLED, ENCODER, ENCODER_GRAPH, TRANSLATOR, TRANSLATOR_GRAPH, onnx_file
from tests.training.labelled import indifferent
from training.cli import app
from training.data import dlib_networks
from training.data.attributes import ANSWERS
from training.data.errors import DataError
from training.data.pack import Example, write
from training.engine.errors import RunError
from training.evaluation.evaluate import Evaluation, evaluate, network
from training.evaluation.findings import Findings, Sheet, meaning
from training.evaluation.gallery import Gallery, Seen, has_domain
from training.evaluation.report import line, page
from training.evaluation.translation import Pair, add_attributes, add_kept, add_lips, add_teachers
from training.exported import Exported, Warp
from training.losses.frozen import Classifier
from training.metrics.features import Encoder
from training.metrics.judge import Face

# A generator whose faces are of one colour, 40 z from grey.
GENERATOR_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
toy (float[batch,3] z) => (uint8[batch,16,16,3] image_out)
<int64[4] row = {-1, 1, 1, 3}, float grey = {128.0}, float scale = {40.0}, float black = {0.0}, float white = {255.0},
 int64[4] size = {1, 16, 16, 1}>
{
    colour = Reshape(z, row)
    scaled = Mul(scale, colour)
    moved = Add(grey, scaled)
    clipped = Clip(moved, black, white)
    spread = Expand(clipped, size)
    image_out = Cast<to = 2>(spread)
}
"""
GENERATOR = Contract(
    role="generator",
    template=None,
    controls=(Control("z", (3,), None, None, (0.0, 0.0, 0.0), "red, green and blue"),),
    styles={},
    output="image",
    output_shape=(16, 16, 3),
)
SMALL = Template(16, 16, tuple((x / 16, y / 16) for x, y in SQUARE_256.points))
# A translator that looks pictures up at `places`.
LOOKUP_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
toy (uint8[batch,16,16,3] image, float[batch] strength) => (uint8[batch,16,16,3] image_out)
<int64[4] column = {-1, 1, 1, 1}, float nothing = {0.0}>
{
    x = Cast<to = 1>(image)
    channels = Transpose<perm = [0, 3, 1, 2]>(x)
    zero = Mul(strength, nothing)
    rows = Reshape(zero, column)
    grid = Add(places, rows)
    seen = GridSample<align_corners = 0, padding_mode = "border">(channels, grid)
    pixels = Transpose<perm = [0, 2, 3, 1]>(seen)
    image_out = Cast<to = 2>(pixels)
}
"""
LOOKUP = Contract("translator", SMALL, (Control("strength", (), 0.0, 1.0, 1.0, "nothing"),), {}, "image", (16, 16, 3))


def run(*arguments: object) -> Result:
    """The command, with what it writes to standard output and to standard error apart."""
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


@pytest.fixture(name="photos", scope="module")
def photos_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photos, one of them the mirror of another."""
    folder = tmp_path_factory.mktemp("photos")
    for path in ASSETS.glob("*.jpg"):
        shutil.copy(path, folder)
    cv2.imwrite(str(folder / "mirrored.png"), cv2.imread(str(ASSETS / "person2-neutral.jpg"))[:, ::-1])
    return folder


@pytest.fixture(name="told", scope="module")
def told_(photos: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, str, str]:
    """What the command says of a translator that changes nothing: its line, its page, and its table."""
    into = tmp_path_factory.mktemp("report")
    done = run(
        *(models / "caricature" / "1", "--data", photos, "--against", photos),
        *("--set", "strength=0", "--features", models / "sphereface" / "1", "--into", into),
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), (into / "caricature-1.html").read_text(), done.stderr


def test_a_translator_that_changes_nothing_is_faithful(told: tuple[dict, str, str]) -> None:
    """Every face is found, is the same person, as exaggerated as it was, and not repainted."""
    figures = {name: value for name, (value, _, _) in told[0]["figures"].items()}
    assert figures["detected"] == figures["id_kept"] == 1 and figures["id_distance"] < 0.3
    assert figures["exaggeration"] == pytest.approx(1)
    assert figures["repaint"] == figures["flatness"] == 0
    assert told[0]["counts"] == {"photos": 4, "faces": 4, "drawings": 4} and told[0]["role"] == "translator"


def test_an_encoder_judges_identity_beside_dlib(told: tuple[dict, str, str]) -> None:
    """A drawing that is its photo has the distance 0 from it, and is nearest to it; nobody says that dlib taught it."""
    figures = {name: value for name, (value, _, _) in told[0]["figures"].items()}
    assert figures["id_distance@sphereface/1"] == pytest.approx(0, abs=1e-5)
    assert figures["id_kept@sphereface/1"] == figures["id_margin@sphereface/1"] == 1
    assert not any("losses" in remark for remark in told[0]["remarks"])


def test_who_was_in_the_losses_is_no_judge_of_identity(models: Path, tmp_path: Path) -> None:
    """dlib's recogniser, named by a translator or by an encoder that it names; if another judges, that is enough."""
    dlib = f"{dlib_networks.recogniser_file().name}, sha256 0"
    known = {
        "encoder": (ENCODER_GRAPH, ENCODER, dlib),
        "by-dlib": (TRANSLATOR_GRAPH, TRANSLATOR, f"vgg16.pth, sha256 1; {dlib}"),
        "by-encoder": (TRANSLATOR_GRAPH, TRANSLATOR, "encoder/1, sha256 2; nobody/1, sha256 3"),
        "by-nobody": (TRANSLATOR_GRAPH, TRANSLATOR, ""),
    }
    for name, (graph, contract, taught) in known.items():
        file = onnx_file(graph, replace(contract, provenance={"teachers": taught}))
        publish(tmp_path, name, 1, {"model.onnx": file})
    beside = [Encoder(name, None) for name in ("encoder/1", "other/1")]

    def told(name: str, encoders: list[Encoder]) -> str:
        found = Findings()
        add_teachers(found, Exported(tmp_path / name), encoders)
        return " ".join(found.remarks)

    assert "dlib's recogniser was in the losses of by-dlib/1" in told("by-dlib", beside)
    assert "dlib's recogniser was" in told("by-encoder", beside) and "encoder/1 was" in told("by-encoder", beside)
    assert "--features" in told("by-encoder", beside[:1]) and "--features" not in told("by-encoder", beside)
    assert told("by-nobody", []) == ""


def test_what_it_makes_is_as_far_from_the_data_as_its_photos(told: tuple[dict, str, str]) -> None:
    """Distances carry the network's name, and those of the photos stand beside them."""
    figures = told[0]["figures"]
    assert figures["kid@sphereface/1"] == figures["kid@sphereface/1/photos"]
    assert not any("fid" in name for name in figures)


def test_the_styles_differ_by_what_they_are(told: tuple[dict, str, str]) -> None:
    """The second named style is brighter by 30 levels, where that is not beyond white."""
    value, low, high = told[0]["figures"]["diversity"]
    assert 0.08 < low <= value <= high <= 30 / 255 + 1e-3


def test_what_is_not_measured_has_its_reason(told: tuple[dict, str, str]) -> None:
    """FID is refused for four pictures and KID offered; the lipstick rate wants to know who is a man."""
    remarks = " ".join(told[0]["remarks"])
    assert "No fid" in remarks and "KID" in remarks and "the attribute male" in remarks


def test_the_page_needs_no_other_file(told: tuple[dict, str, str]) -> None:
    """Pictures are inside; the model's notice and every figure are there, and in the table."""
    _, html, shown = told
    assert html.count("data:image/jpeg;base64,") >= 20 and "http" not in html and 'src="data' in html
    assert "A toy: for tests only." in html and "Before and after" in html and "Strengths" in html
    assert all(name in html and name[:8] in shown for name in told[0]["figures"])


def test_a_generator_is_held_against_pictures(models: Path, tmp_path: Path) -> None:
    """Flat colours of the same law cannot be told from the data, from reddish data they can."""
    publish(tmp_path / "models", "faces", 1, {"model.onnx": onnx_file(GENERATOR_GRAPH, GENERATOR)})
    random, known = np.random.default_rng(5), {}
    for name, middle in (("alike", (128, 128, 128)), ("red", (220, 60, 60))):
        colours = np.clip(middle + 40 * random.standard_normal((60, 3)), 0, 255).astype(np.uint8)
        write(tmp_path / name, [Example(np.full((16, 16, 3), colour, np.uint8)) for colour in colours])
        known[name] = evaluate(
            tmp_path / "models" / "faces", tmp_path / name, features=[str(models / "sphereface")]
        ).found
    alike, red = (known[name].figures for name in ("alike", "red"))
    assert set(red) == {"kid@sphereface/1", "1nn@sphereface/1", "diversity", "latency", "megabytes", "weights"}
    assert alike["kid@sphereface/1"].low < 0 < red["kid@sphereface/1"].low
    assert alike["1nn@sphereface/1"].low < 0.5 < red["1nn@sphereface/1"].low
    assert known["red"].counts == {"real": 60, "made": 60} and len(known["red"].sheets[0].rows) == 4
    assert alike["diversity"].low > 0


def test_an_encoder_wants_people_who_recur(models: Path, photos: Path) -> None:
    """Twenty of them: with fewer there is an error, not a figure."""
    with pytest.raises(DataError, match="20 people"):
        evaluate(models / "sphereface" / "1", photos)


@pytest.mark.full
@pytest.mark.skipif("LIKENESS_DATA" not in os.environ, reason="LIKENESS_DATA is not set")
def test_the_bundled_encoder_tells_people_apart(tmp_path: Path) -> None:
    """Twenty adults, neutral and smiling, as well as its card says, beside dlib."""
    for path in (Path(os.environ["LIKENESS_DATA"]) / "tests" / "london256" / "img").rglob("*.jpg"):
        person = tmp_path / path.name.split("_")[0]
        person.mkdir(exist_ok=True)
        shutil.copy(path, person / f"{path.parent.name}.jpg")
    found = evaluate(BUNDLED / "sphereface" / "1", tmp_path).found
    assert found.counts["people"] == 20
    assert found.figures["auc"].value > 0.95 and found.figures["auc@dlib"].value > 0.98


@pytest.mark.parametrize("across, share", [(1, 0.0), (-1, 1.0)])
def test_folds_are_read_off_the_grid_of_the_graph(across: int, share: float, tmp_path: Path) -> None:
    """Where places are those of the picture nothing is turned over, where they are those of its mirror everything."""
    x, y = np.meshgrid(*[(np.arange(16, dtype=np.float32) + 0.5) / 8 - 1] * 2)
    model = onnx.parser.parse_model(LOOKUP_GRAPH)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.stack([across * x, y], -1)[None], "places"))
    onnx.helper.set_model_props(model, LOOKUP.to_metadata())
    publish(tmp_path, "lookup", 1, {"model.onnx": model.SerializeToString()})
    warp = Warp.of(Exported(tmp_path / "lookup" / "1"))
    assert warp is not None
    assert warp.folded([np.zeros((16, 16, 3), np.uint8)] * 10, {}).tolist() == [share] * 10


def test_the_bundled_caricature_does_not_fold(models: Path) -> None:
    """At the strength that it was made for; the toy has no warp."""
    caricature = Exported(BUNDLED / "caricature")
    photo = cv2.cvtColor(cv2.imread(str(ASSETS / "person1-neutral.jpg")), cv2.COLOR_BGR2RGB)
    warp = Warp.of(caricature)
    assert warp is not None and warp.folded([photo], {"strength": 1.0}).tolist() == [0.0]
    assert Warp.of(Exported(models / "caricature" / "1")) is None


def test_what_a_model_takes(models: Path) -> None:
    """Time, bytes of the file, and numbers in it, of which the toy has nine constants with ten numbers more or less."""
    model = Exported(models / "caricature")
    cost = model.cost()
    assert model.name == "caricature/1" and cost.bytes == model.path.stat().st_size and 0 < cost.weights < 30
    assert 0 < cost.latency.low <= cost.latency.value <= cost.latency.high


def test_pictures_come_from_folders_tables_and_packs(tmp_path: Path) -> None:
    """With what is known of each; as many as are asked for, always the same."""
    for person in ("a", "b"):
        (tmp_path / "people" / person).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(tmp_path / "people" / person / f"{number}.png"), np.full((8, 8, 3), 10 * number, np.uint8))
    folder = Gallery(tmp_path / "people", "photo", 0)
    assert [seen.person for seen in folder] == ["a"] * 3 + ["b"] * 3
    assert len(Gallery(tmp_path / "people", "photo", 4)) == 4

    table = tmp_path / "people" / "index.csv"
    points = ",".join(f"x{i},y{i}" for i in range(5))
    table.write_text(f"file,person,male,{points}\na/0.png,ann,-1,1,2,3,4,5,6,7,8,9,10\n")
    (seen,) = Gallery(table, "photo", 0)
    assert seen.person == "ann" and seen.attributes == {"male": -1} and seen.points is not None
    assert seen.points[1].tolist() == [3, 4]

    known = {"points": np.array(SQUARE_256.points, np.float32), "age": np.float32(3)}
    image = np.full((8, 8, 3), 9, np.uint8)
    domains = ("photo", "drawing")
    write(tmp_path / "toy.pack", [Example(image, {"domain": each, "person": "bob"}, known) for each in domains])
    (seen,) = Gallery(tmp_path / "toy.pack", "drawing", 0)
    assert seen.person == "bob" and seen.attributes == {"age": 3} and seen.points is not None
    assert has_domain(tmp_path / "toy.pack", "drawing") and not has_domain(tmp_path / "people", "drawing")


def test_a_broken_picture_is_named(tmp_path: Path, models: Path) -> None:
    """In one line, with the exit status of an error."""
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    done = run(models / "caricature" / "1", "--data", tmp_path)
    assert done.exit_code == 1 and "broken.jpg" in done.stderr and not done.stdout


def test_what_cannot_be_evaluated_is_an_error(tmp_path: Path, models: Path, photos: Path) -> None:
    """A control that the model does not have or take, a network that is none, photos without a face."""
    translator = models / "caricature" / "1"
    for request in ({"hair": 1.0}, {"strength": 9.0}):
        with pytest.raises(ControlError):
            evaluate(translator, photos, request=request)
    for name, why in (("nowhere", "neither"), (str(translator), "no encoder")):
        with pytest.raises(DataError, match=why):
            network(name)
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((64, 64, 3), 99, np.uint8))
    with pytest.raises(DataError, match="a face in none of 1 photos"):
        evaluate(translator, tmp_path)


def test_what_is_told_is_escaped() -> None:
    """A name with a tag in it does not become one."""
    evaluation = Evaluation("caricature/1", TRANSLATOR, {}, Findings())
    evaluation.found.sheets.append(Sheet("<script>", ["<b>"], [[np.zeros((400, 10, 3), np.uint8)]]))
    html = page(evaluation)
    assert "<script>" not in html and "&lt;b&gt;" in html and json.loads(line(evaluation))["model"] == "caricature/1"


def test_every_figure_has_a_meaning() -> None:
    """Whatever it was measured by."""
    assert meaning("kid@dlib/photos") == meaning("kid") and meaning("flips/male") and meaning("tar/0.01@dlib")


def test_attributes_and_lips_are_asked_about_where_they_are_known(faces: np.ndarray) -> None:
    """Of sixty men and women whose drawings are copies nothing flips and no man is painted, to about 5 of 100."""
    random, pairs = np.random.default_rng(0), []
    for number, landmarks in enumerate(faces[:60]):
        male = number % 2
        picture = random.integers(0, 256, (256, 256, 3), np.uint8)
        face = Face(picture, landmarks, random.standard_normal(128) * 0.1 + male)
        seen = Seen(picture, attributes={"Male": male, "guess": random.integers(2)})
        pairs.append(Pair(seen, picture, picture, face, face))
    found = Findings()
    add_lips(found, pairs)
    add_attributes(found, pairs)
    assert found.figures["lipstick"].value == pytest.approx(0.05, abs=0.02)
    assert found.figures["flips/Male"].value == 0
    assert "flips/guess" not in found.figures and any("guess" in remark for remark in found.remarks)
    judged = Findings(figures={"kept/Male": found.figures["lipstick"]})
    add_attributes(judged, pairs)
    assert "flips/Male" not in judged.figures


class Bright(nn.Module):
    """Says glasses of what is brighter than grey, nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(1, len(each)) for name, each in ANSWERS.items()})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        level = pictures.mean((1, 2, 3))
        found = {name: torch.zeros(len(level), head.out_features) for name, head in self.heads.items()}
        return found | {"eyeglasses": torch.stack([-level, level], 1)}


def test_a_classifier_says_what_drawings_keep(models: Path) -> None:
    """Of four photos whose glasses it is right about, one drawing has lost them; one photo it is wrong about."""
    levels = [(200, 210), (200, 30), (30, 40), (40, 30), (200, 200)]
    labels = [1, 1, -1, -1, -1]
    photo, drawing = ([np.full((256, 256, 3), level, np.uint8) for level in side] for side in zip(*levels, strict=True))
    seen = [Seen(image, attributes={"eyeglasses": label}) for image, label in zip(photo, labels, strict=True)]
    pairs = [Pair(*each, None, None) for each in zip(seen, photo, drawing, strict=True)]
    model, found = Exported(models / "caricature"), Findings()
    judge = Classifier(Bright(), "judge, sha256 0", (), 32)
    add_kept(found, model, pairs, judge, Path("photos"))
    values = {name: each.value for name, each in found.figures.items()}
    assert values == {"kept/eyeglasses": 0.75, "kept/eyeglasses/no": 1, "kept/eyeglasses/yes": 0.5}
    assert found.remarks == ["judge is right about eyeglasses in 83% of 5 photos, every answer weighing the same"]
    with pytest.raises(DataError, match="photos: of no face is"):
        add_kept(found, model, [Pair(Seen(photo[0]), photo[0], photo[0], None, None)], judge, Path("photos"))


def test_a_classifier_that_taught_the_model_is_no_evidence(tmp_path: Path) -> None:
    """As of a recogniser, by the name that its run has."""
    file = onnx_file(TRANSLATOR_GRAPH, replace(TRANSLATOR, provenance={"teachers": "judge, sha256 1"}))
    publish(tmp_path, "taught", 1, {"model.onnx": file})
    image, found = np.zeros((256, 256, 3), np.uint8), Findings()
    pairs = [Pair(Seen(image, attributes={"smiling": 1}), image, image, None, None)]
    add_kept(found, Exported(tmp_path / "taught"), pairs, Classifier(Bright(), "judge, sha256 1", (), 32), Path("x"))
    assert any("judge was in the losses of taught/1" in remark for remark in found.remarks)


def test_the_command_asks_a_classifier(models: Path, photos: Path, tmp_path: Path) -> None:
    """A translator that changes nothing keeps what photos have by their table, and no probe is asked about it."""
    table = tmp_path / "index.csv"
    table.write_text(f"file,smiling\n{photos / 'person1-neutral.jpg'},-1\n{photos / 'person1-smiling.jpg'},1\n")
    run_, _ = indifferent(tmp_path / "judge")
    how = ("--set", "strength=0", "--features", models / "sphereface" / "1", "--into", tmp_path)
    done = run(models / "caricature" / "1", "--data", table, "--attributes", run_, *how)
    assert done.exit_code == 0, done.output
    figures = {name: each[0] for name, each in json.loads(done.stdout)["figures"].items() if name.startswith("kept")}
    assert figures == {"kept/smiling": 1, "kept/smiling/no": 1}
    assert "judge is right about smiling in 50% of 2 photos" in " ".join(json.loads(done.stdout)["remarks"])


def test_only_what_becomes_of_photos_is_judged_by_attributes(models: Path, photos: Path, tmp_path: Path) -> None:
    """An encoder makes no pictures; a run that is none is named."""
    judge, _ = indifferent(tmp_path / "judge")
    with pytest.raises(DataError, match=r"\(encoder\): only"):
        evaluate(models / "sphereface" / "1", photos, attributes=judge)
    with pytest.raises(RunError, match="nowhere"):
        evaluate(models / "caricature" / "1", photos, attributes=tmp_path / "nowhere")
