"""training.networks.sphereface: the published networks, and what is exported of them."""

import numpy as np
import pytest
import torch

from export.alignment import SPHEREFACE
from training.losses.margin import AngleLinear
from training.networks.pixels import picture
from training.networks.size import parameter_count
from training.networks.sphereface import (
    Encoder,
    SphereFace,
    form,
    from_state,
    pictures_to_faces,
    pixels_to_faces,
)


def pixels(rows, seed=0):
    shape = (rows, SPHEREFACE.height, SPHEREFACE.width, 3)
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def test_sphere20a_has_the_published_number_of_parameters():
    """22,670,656 in the features, 28,084,544 with the 10,574 classes of its training."""
    network = SphereFace(20, 64)
    assert parameter_count(network) == 22_670_656
    assert parameter_count(network) + parameter_count(AngleLinear(512, 10_574)) == 28_084_544


@pytest.mark.parametrize(
    "depth, width, count",
    [(4, 64, 12_562_496), (10, 64, 15_219_264), (36, 64, 32_778_816), (64, 64, 48_200_512), (10, 32, 6_559_264)],
)
def test_siblings_have_as_many_parameters_as_their_table_says(depth, width, count):
    """Convolutions with biases, a slope for each of their channels, and fc5; 10 at half width is the bundled one."""
    with torch.device("meta"):
        assert parameter_count(SphereFace(depth, width)) == count


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


def test_layers_that_are_no_known_network_are_refused():
    """A convolution too few has no depth."""
    state = SphereFace(20, 4).state_dict()
    del state["conv3_9.weight"]
    with pytest.raises(ValueError, match="3, 5, 8, 3 convolutions"):
        form(state)


def test_frozen_stages_keep_their_weights():
    """SATNet's fine-tuning trains stage 4 and fc5 alone."""
    network = SphereFace(20, 4)
    network.freeze(3)
    learning = {name.split("_")[0].split(".")[0] for name, each in network.named_parameters() if each.requires_grad}
    assert learning == {"conv4", "relu4", "fc5"}


def test_pictures_are_seen_as_pixels_are():
    """In the frame itself, and of twice the frame means of what is around every second pixel, where its points are."""
    image = torch.randint(0, 256, (2, 112, 96, 3), dtype=torch.uint8)
    assert torch.allclose(pictures_to_faces(picture(image)), pixels_to_faces(image), atol=1e-5)
    pictures = torch.full((1, 3, 224, 192), -1.0, requires_grad=True)
    spot = torch.zeros_like(pictures)
    spot[:, 0, 2 * 70, 2 * 48] = 1
    faces = pictures_to_faces(pictures + spot) - pictures_to_faces(pictures)
    assert faces.shape == (1, 3, 112, 96) and faces.nonzero().tolist() == [[0, 2, 70, 48]]  # red is the last one
    faces.sum().backward()
    pictures_to_faces(pictures).sum().backward()
    assert pictures.grad.all()
