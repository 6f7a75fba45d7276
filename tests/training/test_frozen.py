"""training.losses.frozen: a loss looks through the network that was trained, not through one that was begun anew."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from export.parity import open_session
from tests.training import labelled
from tests.training.labelled import indifferent
from training.data.terms import terms
from training.engine.errors import CheckpointError, TrainingError
from training.engine.run import Run
from training.losses.frozen import classifier, perceptual, reader, recogniser
from training.losses.margin import AngleLinear
from training.networks.pixels import picture
from training.networks.sphereface import SphereFace, pictures_to_faces
from training.networks.vgg import Vgg16
from training.recipes import attributes, sphereface

MODELS = Path(__file__).parents[2] / "models"
BUNDLED = MODELS / "sphereface" / "3"
SOURCE = "toys (CC0)"


@pytest.fixture(scope="module")
def trained() -> SphereFace:
    """A small one."""
    torch.manual_seed(5)
    return SphereFace(4, 4)


def imported(trained: SphereFace, folder: Path) -> Path:
    """A run, at its first checkpoint; what is trained on beside its average is another network."""
    recipe = sphereface.Recipe(sphereface.Config(depth=4, width=4, classes=2, sources=(SOURCE,)))
    Run(folder).begin("sphereface", recipe)
    tensors = {f"averages/encoder/{key}": value for key, value in trained.state_dict().items()}
    tensors |= {f"networks/encoder/{key}": value + 1 for key, value in trained.state_dict().items()}
    Run(folder).save("sphereface", tensors, images=16, steps=1, keep=False)
    return folder


@pytest.mark.parametrize("form", ["run", "file"])
def test_its_weights_are_those_of_where_it_lies(form: str, trained: SphereFace, tmp_path: Path) -> None:
    """A run's average, or a checkpoint with its classes; both know what they were trained on."""
    if form == "run":
        path, name = imported(trained, tmp_path / "faces"), "faces, sha256 "
    else:
        path, name = tmp_path / "sphere.pth", "sphere.pth, sha256 "
        torch.save({**trained.state_dict(), "fc6.weight": AngleLinear(512, 3).weight.data}, path)
    found = recogniser(path)
    assert all(torch.equal(value, trained.state_dict()[key]) for key, value in found.network.state_dict().items())
    assert found.name.startswith(name) and len(found.name) == len(name) + 64
    assert (SOURCE in found.sources) == (form != "file") and found.sources
    assert not found.network.training and not any(each.requires_grad for each in found.network.parameters())


def test_a_published_encoder_sees_what_its_graph_sees() -> None:
    """The bundled one, whose terms come along."""
    found = recogniser(BUNDLED)
    image = np.random.default_rng(0).integers(0, 256, (2, 112, 96, 3), dtype=np.uint8)
    session = open_session((BUNDLED / "model.onnx").read_bytes())
    with torch.no_grad():
        seen = functional.normalize(found.network(pictures_to_faces(picture(torch.from_numpy(image)))), dim=1)
    assert np.abs(seen.numpy() - session.run(None, {"image": image})[0]).max() < 1e-4
    assert found.name.startswith("sphereface/3, sha256 ") and terms(found.sources)["notice"]


def test_what_is_no_encoder_is_named(tmp_path: Path) -> None:
    """Nothing there, another network, a run without a checkpoint, a model that was changed."""
    torch.save({"x": torch.ones(1)}, tmp_path / "x.pth")
    Run(tmp_path / "empty").begin("sphereface", sphereface.Recipe(sphereface.Config()))
    changed = tmp_path / "sphereface" / "3"
    shutil.copytree(BUNDLED, changed)
    with (changed / "model.onnx").open("ab") as graph:
        graph.write(b"0")
    for path in (tmp_path / "nowhere", tmp_path / "x.pth", tmp_path / "empty", changed):
        with pytest.raises(TrainingError, match=str(path)):
            recogniser(path)


def test_vgg_is_read_from_either_kind_of_file(tmp_path: Path) -> None:
    """With the classifier or without; what is not VGG is named."""
    torch.manual_seed(0)
    state = Vgg16().state_dict()
    torch.save(state | {"classifier.6.bias": torch.ones(3)}, tmp_path / "vgg.pth")
    save_file(state, tmp_path / "vgg.safetensors")
    for name in ("vgg.pth", "vgg.safetensors"):
        network, told = perceptual(tmp_path / name)
        assert told.startswith(f"{name}, sha256 ")
        assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    save_file({"features.0.weight": torch.ones(64, 3, 3, 3)}, tmp_path / "part.safetensors")
    for name in ("part.safetensors", "none.pth"):
        with pytest.raises(CheckpointError, match=name):
            perceptual(tmp_path / name)


def test_a_classifier_is_the_average_of_its_run(tmp_path: Path) -> None:
    """In the form that its weights have, with the size and the terms of what it learnt on."""
    run, network = indifferent(tmp_path / "judge")
    found = classifier(run)
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in found.network.state_dict().items())
    assert found.size == 32 and found.sources == (labelled.SOURCE,) and found.name.startswith("judge, sha256 ")
    assert not found.network.training and not any(each.requires_grad for each in found.network.parameters())


def test_what_is_no_classifier_is_named(trained: SphereFace, tmp_path: Path) -> None:
    """Nothing there, a run of another recipe, a run without a checkpoint."""
    imported(trained, tmp_path / "faces")
    Run(tmp_path / "empty").begin("attributes", attributes.Recipe(attributes.Config()))
    for name in ("nowhere", "faces", "empty"):
        with pytest.raises(TrainingError, match=str(tmp_path / name)):
            classifier(tmp_path / name)


def test_a_reader_reads_what_its_graph_reads() -> None:
    """The bundled one, whose terms come along."""
    found = reader(MODELS / "style" / "1")
    image = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), dtype=np.uint8)
    session = open_session((MODELS / "style" / "1" / "model.onnx").read_bytes())
    read = found.network(torch.from_numpy(image)).numpy()
    assert np.abs(read - session.run(None, {"image": image})[0]).max() < 1e-3
    assert found.name.startswith("style/1, sha256 ") and found.sources and not terms(found.sources)["notice"]


@pytest.mark.parametrize("name", ["nowhere/1", "sphereface/3", "cartoon/2"])
def test_what_reads_no_styles_is_named(name: str) -> None:
    """Nothing there, a face encoder, a translator."""
    with pytest.raises(CheckpointError, match=f"{MODELS / name} reads no styles"):
        reader(MODELS / name)
