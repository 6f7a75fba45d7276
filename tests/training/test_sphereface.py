import numpy as np
import pytest
import torch

from export.alignment import SPHEREFACE
from export.to_onnx import export_model
from training.data.recognition import FRAME, Faces, trainable
from training.losses.margin import AngleLinear
from training.networks.sphereface import Encoder, SphereFace, from_state, parameter_count
from training.recipes.sphereface import Config, Graph, Run, contract, learning_rate, train

TOY = Config(depth=4, width=4, batch=8, twins=2, images=160, warm_up=16, rate=3e-3)


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (24, FRAME.height, FRAME.width, 3), dtype=np.uint8)
    persons = np.array([f"person {i // 3}" if i < 12 else "" for i in range(24)])
    return Faces(crops, rng.standard_normal((24, 128)).astype(np.float32), persons, np.arange(24) >= 20)


def pixels(rows, seed=0):
    shape = (rows, SPHEREFACE.height, SPHEREFACE.width, 3)
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def test_sphere20a_has_the_published_number_of_parameters():
    """22,670,656 in the features, 28,084,544 with the 10,574 classes of its training."""
    network = SphereFace(20, 64)
    assert parameter_count(network) == 22_670_656
    assert parameter_count(network) + parameter_count(AngleLinear(512, 10_574)) == 28_084_544


def test_sphere20a_has_the_published_keys():
    """State-dict names and shapes are those of the public checkpoint."""
    state = SphereFace(20, 64).state_dict()
    layers = {1: 3, 2: 5, 3: 9, 4: 3}
    names = {
        f"{kind}{stage}_{i}"
        for stage, count in layers.items()
        for i in range(1, count + 1)
        for kind in ("conv", "relu")
    }
    assert {name.split(".")[0] for name in state} == names | {"fc5"}
    assert state["conv1_1.weight"].shape == (64, 3, 3, 3)
    assert state["conv4_3.weight"].shape == (512, 512, 3, 3)
    assert state["relu3_9.weight"].shape == (256,)
    assert state["fc5.weight"].shape == (512, 21_504)


@pytest.mark.parametrize("depth", [4, 10, 20, 36, 64])
def test_siblings_have_their_depth(depth):
    """A sibling's depth counts its convolutions; 4, 10 and the deep ones have no other difference."""
    network = SphereFace(depth, 4)
    assert sum(isinstance(module, torch.nn.Conv2d) for module in network.modules()) == depth
    assert network(torch.zeros(2, 3, 112, 96)).shape == (2, 512)


def test_embeddings_are_unit_vectors():
    """uint8 RGB in, 512 numbers of length one out."""
    embedding = Encoder(SphereFace(4, 4))(pixels(3))
    assert embedding.shape == (3, 512) and embedding.dtype == torch.float32
    assert torch.allclose(embedding.norm(dim=1), torch.ones(3), atol=1e-6)


def test_colour_order_matters_and_is_bgr_inside():
    """The network sees BGR at (x - 127.5) / 128, so swapped channels give another embedding."""
    encoder = Encoder(SphereFace(4, 4))
    image = pixels(1)
    by_hand = (image.numpy()[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 128
    features = encoder.network(torch.from_numpy(by_hand))
    assert torch.allclose(torch.nn.functional.normalize(features), encoder(image), atol=1e-6)
    assert not torch.allclose(encoder(image.flip(3)), encoder(image), atol=1e-3)


def test_residual_pairs_add_to_what_they_get():
    """With the pairs' weights at zero a deep network is its trunk: the four strided layers and fc5."""
    deep, trunk = SphereFace(20, 4), SphereFace(4, 4)
    for name, parameter in deep.named_parameters():
        if name.startswith("conv") and "_1." not in name:
            parameter.data.zero_()
    trunk.load_state_dict({name: value for name, value in deep.state_dict().items() if name in trunk.state_dict()})
    faces = torch.randn(2, 3, 112, 96)
    assert torch.allclose(deep(faces), trunk(faces), atol=1e-5)


@pytest.mark.parametrize("depth, width", [(4, 4), (20, 6)])
def test_an_encoder_is_rebuilt_from_its_state_alone(depth, width):
    """Depth and width are read off the state_dict."""
    encoder = Encoder(SphereFace(depth, width)).eval()
    again = from_state(encoder.state_dict())
    assert torch.equal(again(pixels(2)), encoder(pixels(2)))


def test_set_aside_people_and_their_doubles_are_not_trained_on(faces):
    """Neither rows that are set aside nor unlisted photos that the teacher takes for the same people."""
    descriptors = faces.descriptors.copy()
    descriptors[5] = descriptors[21] + 0.01
    kept = trainable(Faces(faces.crops, descriptors, faces.persons, faces.set_aside))
    assert kept.tolist() == [i < 20 and i != 5 for i in range(24)]


def test_the_learning_rate_rises_then_falls_to_nothing():
    """Linear to its peak over the warm-up, then a cosine."""
    assert learning_rate(0, TOY) == 0
    assert learning_rate(TOY.warm_up // 2, TOY) == TOY.rate / 2
    assert learning_rate(TOY.warm_up, TOY) == TOY.rate
    assert learning_rate(TOY.images, TOY) == pytest.approx(0)


def test_training_lowers_the_loss_and_resumes_exactly(faces, tmp_path):
    """A run that stopped half-way ends with the very weights of one that did not, and has learnt something."""
    whole = train(Run(tmp_path / "whole"), TOY, faces, save_every=10)
    run = Run(tmp_path / "halves")

    class Stopped(Exception):
        pass

    def stop(**state):
        Run.save(run, **state)
        raise Stopped

    run.save = stop
    with pytest.raises(Stopped):
        train(run, TOY, faces, save_every=10)
    resumed = train(Run(tmp_path / "halves"), TOY, faces, save_every=10)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert not torch.equal(whole.conv1_1.weight, SphereFace(4, 4).conv1_1.weight)


def test_a_run_returns_its_averaged_network(faces, tmp_path):
    """What `encoder` gives is what training ended with."""
    run = Run(tmp_path)
    average = train(run, TOY, faces)
    assert torch.equal(run.encoder()(pixels(2)), Encoder(average)(pixels(2)))


def test_a_run_exports_with_its_notice(faces, tmp_path):
    """The averaged network leaves as a graph with unit embeddings, thresholds and the notice of its data."""
    train(Run(tmp_path / "run"), TOY, faces)
    promised = contract({"0.01": 0.3, "0.001": 0.4}, {"recipe": "toy"})
    export_model(Run(tmp_path / "run").encoder(), promised, tmp_path / "model.onnx", float16=True)
    graph = Graph(tmp_path / "model.onnx")
    assert graph.contract.notice.startswith("Research only") and graph.contract.thresholds == promised.thresholds
    assert np.linalg.norm(graph.embed(pixels(2).numpy()), axis=1) == pytest.approx(1, abs=1e-5)
