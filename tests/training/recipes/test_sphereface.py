"""training.recipes.sphereface: it learns, resumes exactly, begins from others, and its export verifies faces."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from fastapi.testclient import TestClient

from export.contract import Contract
from export.parity import open_session
from service.faces import FaceFinder
from service.main import create_app
from service.photo import Photo
from service.settings import Settings
from training.data.errors import DataError
from training.data.pack import Example, write
from training.data.recognition import FRAME
from training.engine.errors import CheckpointError, DeviceError, RecipeError, RunError
from training.engine.run import Run
from training.engine.session import Session, import_run, publish_run
from training.losses.margin import AngleLinear
from training.networks.sphereface import Encoder, SphereFace
from training.recipes.sphereface import Config, Recipe, alike

ASSETS = Path(__file__).parents[2] / "assets"
TOY = {"images": "96", "batch": "16", "depth": "4", "width": "4", "warm_up": "16", "measure": "0", "half_life": "64"}
TEACHER = "colours.dat, sha256 00ff"
COLOURS = np.random.default_rng(1).integers(30, 226, (8, 3))


def pattern(person: int, rng: np.random.Generator) -> np.ndarray:
    """A face of a person: coarse blocks in a colour, with noise."""
    base = np.random.default_rng(person).integers(-40, 41, (FRAME.height // 8, FRAME.width // 8, 3)) + COLOURS[person]
    noise = rng.integers(-10, 11, (FRAME.height, FRAME.width, 3))
    return np.clip(np.kron(base, np.ones((8, 8, 1), int)) + noise, 0, 255).astype(np.uint8)


def examples(people: range, photos: int = 4) -> list[Example]:
    """Of six people to learn from, two set aside, with a teacher who knows colours; every fourth photo has no name."""
    rng = np.random.default_rng(0)
    return [
        Example(
            pattern(person, rng),
            {
                "person": "" if photo == 3 and person < 6 else f"person {person}",
                "split": "train" if person < 6 else "test",
                "teacher": TEACHER,
                "source": "toys (CC0)" if person % 2 else "album (CelebA, non-commercial research)",
            },
            {"descriptor": (COLOURS[person] / 255 + rng.normal(0, 0.01, 3)).astype(np.float32)},
        )
        for person in people
        for photo in range(photos)
    ]


@pytest.fixture(name="pack", scope="module")
def pack_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "faces.pack"
    write(path, examples(range(8)))
    return path


@pytest.fixture(name="taught", scope="module")
def taught_(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one step."""
    folder = tmp_path_factory.mktemp("taught") / "run"
    session(folder, images=16).train(pack)
    return folder


@pytest.fixture(name="published", scope="module")
def published_(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model.onnx of that run."""
    to = tmp_path_factory.mktemp("models") / "first" / "1"
    publish_run(taught, to)
    return to / "model.onnx"


def session(folder: Path, **settings: object) -> Session:
    return Session("sphereface", {**TOY, **{key: str(value) for key, value in settings.items()}}, folder, device="cpu")


def figures(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "figures.jsonl").read_text().splitlines()]


def test_the_heads_follow_from_the_data(taught: Path) -> None:
    """Six people and three numbers of the teacher; those set aside are no class, and the run keeps the sizes."""
    facts = Run(taught).facts()["settings"]
    assert (facts["classes"], facts["teacher"]) == (6, 3)
    assert facts["teachers"] == [TEACHER]
    assert facts["sources"] == ["album (CelebA, non-commercial research)", "toys (CC0)"]
    tensors, _ = Run(taught).state("sphereface")
    assert tensors["networks/people/weight"].shape == (512, 6) and tensors["networks/teacher/weight"].shape == (3, 512)


def test_training_learns(pack: Path, tmp_path: Path) -> None:
    """Names and relations fall."""
    settings = {"images": 320, "optimiser": "sgd", "rate": 0.005, "report": 64, "drawn": 0.2, "turned": 0.3}
    assert session(tmp_path, **settings).train(pack)
    told = figures(tmp_path)
    for name in ("faces/identity", "faces/relational"):
        assert told[4][name] < 0.9 * told[0][name]


def test_an_interrupted_run_is_the_unbroken_one(pack: Path, tmp_path: Path) -> None:
    """Bit by bit, in all that a run goes on with, and no step is made twice."""
    settings = {"optimiser": "sgd", "rate": 0.003, "report": 16}
    session(tmp_path / "whole", images=48, **settings).train(pack)
    session(tmp_path / "broken", images=32, **settings).train(pack)
    session(tmp_path / "broken", images=48, **settings).train(pack)
    (whole, _), (broken, _) = (Run(tmp_path / each).state("sphereface") for each in ("whole", "broken"))
    assert whole.keys() == broken.keys() and all(torch.equal(whole[key], broken[key]) for key in whole)
    assert [line["images"] for line in figures(tmp_path / "broken")] == [16, 32, 48]


@pytest.mark.parametrize("margin", ["asoftmax", "arcface", "cosface", "sphereface2"])
def test_every_margin_trains(margin: str, pack: Path, tmp_path: Path) -> None:
    """One step of each, with all of the teacher."""
    session(tmp_path, images=16, margin=margin, neighbours=1).train(pack)
    last = figures(tmp_path)[0]
    assert {"faces/identity", "faces/descriptor", "faces/relational", "faces/neighbours"} <= last.keys()
    assert last["faces/identity"] > 0


def test_people_without_a_teacher_and_a_teacher_without_people(tmp_path: Path) -> None:
    """Either is enough to learn from; what is not there has neither a head nor a loss."""
    names = [Example(each.image, {"person": each.names["person"]}) for each in examples(range(4))]
    taught = [Example(each.image, {}, each.numbers) for each in examples(range(4))]
    for name, rows, heads in (("names", names, {"people"}), ("taught", taught, {"teacher"})):
        write(tmp_path / f"{name}.pack", rows)
        session(tmp_path / name, images=16).train(tmp_path / f"{name}.pack")
        tensors, _ = Run(tmp_path / name).state("sphereface")
        assert {key.split("/")[1] for key in tensors if key.startswith("networks/")} == {"encoder", *heads}


def test_people_set_aside_are_measured_on(pack: Path, tmp_path: Path) -> None:
    """Each set by itself, at the end of a run."""
    session(tmp_path, images=16, measure=16).train(pack)
    assert "album/auc" not in figures(tmp_path)[-1]  # one person of it is set aside, who cannot be mistaken
    both = [Example(each.image, {**each.names, "source": "toys (CC0)"}, each.numbers) for each in examples(range(8))]
    write(tmp_path / "both.pack", both)
    session(tmp_path / "both", images=16, measure=16).train(tmp_path / "both.pack")
    assert 0 <= figures(tmp_path / "both")[-1]["toys/auc"] <= 1


def test_the_paper_s_schedule() -> None:
    """With SGD the rate falls tenfold after 16 and after 24 of 28 parts."""
    (phase,) = Recipe(Config(images=2800, batch=1, optimiser="sgd", classes=2)).phases()
    assert [round(phase.schedule(seen), 4) for seen in (0, 1599, 1600, 2400)] == [1, 1, 0.1, 0.01]


def test_settings_that_there_are_not_are_refused() -> None:
    """Depths and margins with those that there are, and a head turned further than there is a picture of it."""
    with pytest.raises(RecipeError, match="depth: input should be 4, 10, 20, 36 or 64"):
        Session("sphereface", {"depth": "18"}, Path("nowhere"), device="cpu")
    with pytest.raises(RecipeError, match="margin: input should be 'asoftmax'"):
        Session("sphereface", {"margin": "triplet"}, Path("nowhere"), device="cpu")
    with pytest.raises(RecipeError, match="degrees: input should be less than or equal to 25"):
        Session("sphereface", {"degrees": "40"}, Path("nowhere"), device="cpu")


def test_embeddings_that_are_all_alike_are_told(taught: Path) -> None:
    """Every report has the mean cosine of two rows: 1 of one row many times, 0 of what is at right angles."""
    assert alike(torch.ones(4, 3)).item() == pytest.approx(1) and alike(torch.eye(3)).abs() < 1e-6
    (line,) = figures(taught)
    assert Recipe.symptoms[0].shows({**line, "alike": 0.999}) and -1 <= line["alike"] <= 1


def test_other_people_cannot_go_on_with_a_run(taught: Path, tmp_path: Path) -> None:
    """The classes would be others; the message says how many."""
    write(tmp_path / "fewer.pack", examples(range(4)))
    with pytest.raises(RunError, match="began with classes=6; it cannot go on with classes=4"):
        session(taught).train(tmp_path / "fewer.pack")


# Fine-tuning and import


def official(classes: int = 5, depth: int = 20) -> dict[str, torch.Tensor]:
    """The state dict of a sphere20a, or a sibling, as its authors save it, only narrower."""
    torch.manual_seed(3)
    return {**SphereFace(depth, 4).state_dict(), "fc6.weight": AngleLinear(512, classes).weight.data.clone()}


@pytest.mark.parametrize("zipped", [True, False])
def test_the_official_file_goes_there_and_back(zipped: bool, tmp_path: Path) -> None:
    """Every tensor under its own name, from today's and from 2017's format of torch.save."""
    known = official()
    torch.save(known, tmp_path / "sphere20a_20171020.pth", _use_new_zipfile_serialization=zipped)
    told = import_run("sphereface", [tmp_path / "sphere20a_20171020.pth"], tmp_path / "run")
    assert "encoder of" in told
    tensors, facts = Run(tmp_path / "run").state("sphereface")
    back = {key.removeprefix("networks/encoder/"): value for key, value in tensors.items() if "/encoder/" in key}
    back = {key: value for key, value in back.items() if not key.startswith("averages/")}
    back["fc6.weight"] = tensors["networks/people/weight"]
    assert back.keys() == known.keys() and all(torch.equal(back[key], known[key]) for key in back)
    assert facts["images"] == 0 and Run(tmp_path / "run").facts()["settings"]["depth"] == 20


def test_an_imported_encoder_is_exported_for_research_only(tmp_path: Path) -> None:
    """Its embeddings are the network's own, and its contract says where it comes from."""
    torch.save(official(classes=227, depth=4), tmp_path / "caricatures.pth")
    import_run("sphereface", [tmp_path / "caricatures.pth"], tmp_path / "run")
    publish_run(tmp_path / "run", tmp_path / "models" / "verifier" / "1")
    graph = open_session((tmp_path / "models" / "verifier" / "1" / "model.onnx").read_bytes())
    network = SphereFace(4, 4)
    network.load_state_dict({key: value for key, value in official(227, 4).items() if key != "fc6.weight"})
    image = np.random.default_rng(0).integers(0, 256, (2, 112, 96, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = Encoder(network).eval()(torch.from_numpy(image)).numpy()
    assert np.abs(graph.run(None, {"image": image})[0] - expected).max() < 2e-3  # weights in half precision
    contract = Contract.from_metadata(graph.get_modelmeta().custom_metadata_map, "")
    assert contract.notice.startswith("Research only: trained on caricatures.pth")


def test_who_taught_is_said_of_all_that_comes_of_it(taught: Path, published: Path, tmp_path: Path) -> None:
    """Of the model; of a run from names alone, with first weights of one that was taught; of others it is not."""
    names = tmp_path / "names.pack"
    write(names, [Example(each.image, {"person": each.names["person"]}) for each in examples(range(4))])
    session(tmp_path / "tuned", images=16).train(names, begin_from=taught)
    session(tmp_path / "other", images=16).train(names)
    graph = open_session(published.read_bytes())
    contract = Contract.from_metadata(graph.get_modelmeta().custom_metadata_map, "")
    assert contract.provenance["teachers"] == TEACHER
    tuned, other = (Run(tmp_path / each).facts()["settings"]["teachers"] for each in ("tuned", "other"))
    assert tuned == [TEACHER] and other == []


def test_an_encoder_is_fine_tuned_on_other_people(pack: Path, tmp_path: Path) -> None:
    """Frozen stages keep the weights that they began with, the rest learns, and the classes are new."""
    torch.save(official(), tmp_path / "official.pth")
    import_run("sphereface", [tmp_path / "official.pth"], tmp_path / "begun")
    tuned = session(tmp_path / "tuned", images=32, depth=20, frozen=3)
    assert tuned.train(pack, begin_from=tmp_path / "begun")
    tensors, _ = Run(tmp_path / "tuned").state("sphereface")
    for name, value in official().items():
        if name != "fc6.weight":
            kept = name.startswith(tuple(f"{kind}{stage}" for kind in ("conv", "relu") for stage in "123"))
            assert torch.equal(tensors[f"networks/encoder/{name}"], value) == kept, name
    assert tensors["networks/people/weight"].shape == (512, 6)
    # Whatever the first weights were made of is said of the later ones too.
    assert any("official.pth" in source for source in Run(tmp_path / "tuned").facts()["settings"]["sources"])


def test_a_published_model_is_gone_on_with(taught: Path, published: Path, tmp_path: Path) -> None:
    """Its weights, rounded as they were stored; what it learnt from, and who taught, is said of what comes of it."""
    import_run("sphereface", [published], tmp_path / "imported")
    trained, imported = (Run(each).state("sphereface")[0] for each in (taught, tmp_path / "imported"))
    for kind in ("networks", "averages"):
        name = f"{kind}/encoder/conv1_1.weight"
        assert torch.equal(imported[name], trained["averages/encoder/conv1_1.weight"].half().float())
    names = tmp_path / "names.pack"
    write(names, [Example(each.image, {"person": each.names["person"]}) for each in examples(range(4))])
    assert session(tmp_path / "on", images=16).train(names, begin_from=tmp_path / "imported")
    was, goes_on = (Run(each).facts()["settings"] for each in (taught, tmp_path / "on"))
    assert (
        was["sources"] and goes_on["sources"] == was["sources"] and goes_on["teachers"] == was["teachers"] == [TEACHER]
    )


def test_an_onnx_file_of_others_is_refused(tmp_path: Path) -> None:
    """Neither what is no such file, nor one without a contract; it is named."""
    file = tmp_path / "other.onnx"
    for content, complaint in (
        (b"hello", "cannot be read as ONNX"),
        (onnx.ModelProto().SerializeToString(), "no 'likeness"),
    ):
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match=rf"other\.onnx.*{complaint}"):
            import_run("sphereface", [file], tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Malice:
    """A pickle of it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("bare", [True, False])
def test_a_pickle_with_code_is_refused(bare: bool, tmp_path: Path) -> None:
    """The message says what it wants to call, and nothing was called."""
    file, trace = tmp_path / "evil.pth", tmp_path / "trace"
    if bare:
        file.write_bytes(pickle.dumps({"fc6.weight": Malice(trace)}))
    else:
        torch.save({"fc6.weight": Malice(trace)}, file)
    with pytest.raises(CheckpointError, match=r"evil\.pth is refused: .*only tensors are read"):
        import_run("sphereface", [file], tmp_path / "run")
    assert not trace.exists() and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda state: state.pop("conv3_9.weight"), "3, 5, 8, 3 convolutions are those of no SphereFace"),
        (lambda state: state.pop("relu2_1.weight"), "lacks encoder/relu2_1.weight"),
        (lambda state: state.update({"bn.weight": torch.ones(2)}), "has encoder/bn.weight"),
        (lambda state: state.update({"fc5.weight": torch.ones(2, 2)}), r"encoder/fc5.weight has the shape \[2, 2\]"),
        (lambda state: state.update({"epoch": 3}), "epoch is no tensor but a int"),
    ],
)
def test_a_file_of_another_network_is_refused_by_its_key(change, complaint: str, tmp_path: Path) -> None:
    """Missing, left over, of another shape, or no tensor."""
    state = official()
    change(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=complaint):
        import_run("sphereface", [tmp_path / "other.pth"], tmp_path / "run")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    """Text, half an archive, a recipe that imports nothing, a folder that is a run already."""
    file = tmp_path / "x.pth"
    torch.save(official(), file)
    whole = file.read_bytes()
    for broken in (b"hello", b"", whole[: len(whole) // 2]):
        file.write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"x\.pth"):
            import_run("sphereface", [file], tmp_path / "run")
    file.write_bytes(whole)
    with pytest.raises(RecipeError, match=r"x\.pth: the recipe knows no checkpoints but its own"):
        import_run("ugatit", [file], tmp_path / "run")
    import_run("sphereface", [file], tmp_path / "run")
    with pytest.raises(RunError, match="is a run already"):
        import_run("sphereface", [file], tmp_path / "run")


# Export and service


def test_thresholds_need_people_set_aside(taught: Path, tmp_path: Path) -> None:
    """A pack without any is named, and so is a set with only one of them; nothing is exported."""
    write(tmp_path / "all.pack", [Example(each.image, {"person": "x"}) for each in examples(range(1))])
    with pytest.raises(DataError, match=r"all\.pack sets nobody aside"):
        publish_run(taught, tmp_path / "models" / "sphereface" / "1", tmp_path / "all.pack")
    write(tmp_path / "one.pack", examples(range(7)))
    with pytest.raises(DataError, match=r"two people of one set.*: album"):
        publish_run(taught, tmp_path / "models" / "sphereface" / "1", tmp_path / "one.pack")
    assert not (tmp_path / "models").exists()


def test_an_encoder_is_stored_as_is_asked_for(pack: Path, tmp_path: Path) -> None:
    """In four bytes a weight, in one, or by default in two, held against float32 on people set aside, as it says."""
    one_set = [Example(each.image, {**each.names, "source": "toys (CC0)"}, each.numbers) for each in examples(range(8))]
    write(tmp_path / "faces.pack", one_set)
    session(tmp_path / "run", images=64).train(tmp_path / "faces.pack")
    sizes, embeddings = {}, {}
    frames = np.stack([each.image for each in one_set])[:, 16:-16, 16:-16]
    for version, precision in enumerate(("float32", None, "int8"), 1):
        to = tmp_path / "models" / "sphereface" / str(version)
        publish_run(tmp_path / "run", to, tmp_path / "faces.pack", precision)
        graph = open_session((to / "model.onnx").read_bytes())
        contract = Contract.from_metadata(graph.get_modelmeta().custom_metadata_map, "")
        assert contract.provenance["precision"] == (precision or "float16") and contract.thresholds
        assert ({"cosine", "tar"} <= contract.parity.keys()) == (precision != "float32")
        sizes[precision] = (to / "model.onnx").stat().st_size
        embeddings[precision] = graph.run(None, {"image": frames})[0]
    assert sizes["int8"] < 0.6 * sizes[None] < 0.4 * sizes["float32"]
    for precision, limit in ((None, 0.999), ("int8", 0.99)):
        assert (embeddings["float32"] * embeddings[precision]).sum(1).min() >= limit


def test_int8_that_is_somebody_else_is_not_exported(
    pack: Path, taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor what nobody has compared with float32, nor in a precision that there is not."""
    to = tmp_path / "models" / "sphereface" / "1"
    with pytest.raises(RunError, match="int8 is held against float32 on what is set aside: --data"):
        publish_run(taught, to, precision="int8")
    with pytest.raises(DeviceError, match="there is no precision 'int4'; there are float32, float16, int8"):
        publish_run(taught, to, pack, "int4")
    monkeypatch.setattr("export.precision.LEVELS", 1)
    with pytest.raises(RunError, match=r"cannot be exported: a face of .* has the cosine .* by int8; 0.99 is asked"):
        publish_run(taught, to, pack, "int8")
    assert not to.parent.exists()


def test_a_run_verifies_in_the_service(models: Path, tmp_path: Path) -> None:
    """Train, export with thresholds, serve, ask over HTTP: the similarity is that of the trained average."""
    photo, smiling = ((ASSETS / f"person1-{look}.jpg").read_bytes() for look in ("neutral", "smiling"))
    finder = FaceFinder(next((models / "landmarks").glob("*/model.dat")))
    crops = []
    for body in (photo, smiling):
        picture = Photo(body, None, 1_000_000)
        face = finder.largest(picture)
        crops.append(face.crop(picture, FRAME))
    rng = np.random.default_rng(0)
    rows = [
        Example(
            np.clip(crop.astype(int) + rng.integers(-9, 10, crop.shape), 0, 255).astype(np.uint8),
            {"person": f"{split} {person}", "split": split},
        )
        for split in ("train", "test")
        for person, crop in enumerate(crops)
        for _ in range(2)
    ]
    write(tmp_path / "two.pack", rows)
    session(tmp_path / "run", images=16).train(tmp_path / "two.pack")
    publish_run(tmp_path / "run", tmp_path / "models" / "sphereface" / "1", tmp_path / "two.pack")
    for other in ("landmarks", "caricature"):
        (tmp_path / "models" / other).symlink_to(models / other)
    with TestClient(create_app(Settings(models=tmp_path / "models", log_level="error"))) as client:
        answer = client.post("/verify", files={"image1": photo, "image2": smiling})
    assert answer.status_code == 200, answer.text
    tensors, _ = Run(tmp_path / "run").state("sphereface")
    network = SphereFace(4, 4)
    prefix = "averages/encoder/"
    network.load_state_dict({key.removeprefix(prefix): each for key, each in tensors.items() if key.startswith(prefix)})
    frames = np.stack(crops)[:, 16:-16, 16:-16]
    with torch.no_grad():
        left, right = Encoder(network).eval()(torch.from_numpy(np.ascontiguousarray(frames)))
    assert answer.json()["similarity"] == pytest.approx(float(left @ right), abs=0.02)
    assert answer.json()["far"] == 0.01
