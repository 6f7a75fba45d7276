"""training.networks.attention: known values, published sizes, and spectral normalisation that holds still."""

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from export.contract import Contract, Control
from export.to_onnx import export_model
from training.engine.average import Average
from training.networks.attention import ClassActivation, SelfAttention
from training.networks.normalisation import instance_norm
from training.networks.pixels import pixels
from training.networks.residual import ResidualBlock
from training.networks.size import parameter_count

X = torch.randn(2, 16, 3, 5, generator=torch.Generator().manual_seed(0))


def test_attention_begins_as_nothing() -> None:
    """Its strength is learnt from 0, and learns from the first step on."""
    attention = SelfAttention(16)
    assert torch.equal(attention(X), X)
    attention(X).square().sum().backward()
    assert attention.strength.grad.abs() > 0


def test_every_place_reads_what_its_query_finds() -> None:
    """Place by place: values, weighed by the softmax over all keys of the products with this place's query."""
    attention = SelfAttention(16, spectral=False)
    attention.strength.data.fill_(0.5)
    query, key, value = (layer(X).flatten(2) for layer in (attention.query, attention.key, attention.value))
    wanted = X.flatten(2).clone()
    for image in range(2):
        for place in range(15):
            weights = (query[image, :, place] @ key[image]).softmax(0)
            wanted[image, :, place] += 0.5 * (value[image] @ weights)
    assert torch.allclose(attention(X), wanted.view_as(X), atol=1e-5)


def test_equal_keys_read_the_mean() -> None:
    """Where all places look the same to a query, it gets the mean of their values."""
    attention = SelfAttention(16, spectral=False)
    nn.init.zeros_(attention.key.weight)
    attention.strength.data.fill_(1.0)
    mean = attention.value(X).mean((2, 3), keepdim=True)
    assert torch.allclose(attention(X), X + mean, atol=1e-5)


def test_satnets_parts_have_the_published_sizes() -> None:
    """Attention and one more residual block, in the content encoder and in the decoder."""
    with torch.device("meta"):
        attention, block = SelfAttention(256), ResidualBlock(256, instance_norm, bias=True)
    assert parameter_count(attention) == 82_241
    assert parameter_count(attention) + parameter_count(block) == 6_648_257 - 5_385_856 == 7_017_028 - 5_754_627


def test_spectral_norm_is_one_after_training_and_holds_still_then() -> None:
    """In training every pass improves its estimate; in inference a pass changes nothing and gives the same twice."""
    attention = SelfAttention(16)
    for _ in range(50):
        attention(X)
    attention.eval()
    attention.strength.data.fill_(1.0)
    before = {name: value.clone() for name, value in attention.state_dict().items()}
    assert torch.equal(attention(X), attention(X))
    assert all(torch.equal(value, before[name]) for name, value in attention.state_dict().items())
    for layer in (attention.query, attention.key, attention.value):
        assert abs(torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() - 1) < 0.01


class Attentive(nn.Module):
    """A generator whose picture is what attention makes of a code."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = SelfAttention(16)
        self.colours = nn.Conv2d(16, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        return pixels(self.colours(self.attention(z.unflatten(1, (16, 4, 4)))))


def test_the_average_of_normalised_weights_exports(tmp_path: Path) -> None:
    """The average keeps its own weights with the network's estimates of their norm; the file has both, and agrees."""
    network = Attentive()
    network.attention.strength.data.fill_(1.0)
    average = Average({"generator": network}, half_life=10)
    for seen in range(1, 6):
        network(torch.randn(2, 256))
        for parameter in network.parameters():
            parameter.data.mul_(1.1)
        average.follow(1, seen=100 * seen)
    averaged = average.networks["generator"]
    estimates = dict(network.attention.query.named_buffers())
    assert estimates and all(
        torch.equal(value, estimates[name]) for name, value in averaged.attention.query.named_buffers()
    )
    z = Control("z", (256,), None, None, (0.0,) * 256, "features")
    contract = Contract("generator", None, (z,), {}, "image", (4, 4, 3))
    path = tmp_path / "model.onnx"
    assert max(export_model(averaged, contract, path).parity.values()) <= 1
    stored = {each.name: numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}
    assert all(torch.equal(torch.tensor(stored[name]), value) for name, value in averaged.state_dict().items())


def test_class_activation_is_the_papers() -> None:
    """Features times either classifier's weights, one after the other, mixed; logits of the mean and the maximum."""
    activation = ClassActivation(16, bias=True)
    mean, maximum = activation.mean, activation.maximum
    both = torch.cat([X * mean.weight[0, :, None, None], X * maximum.weight[0, :, None, None]], 1)
    features, logits = activation(X)
    assert torch.allclose(features, activation.mix(both), atol=1e-5)
    wanted = torch.cat([mean(X.mean((2, 3))), maximum(X.amax((2, 3)))], 1)
    assert torch.allclose(logits, wanted, atol=1e-6)


def test_class_activation_weighs_channels_by_what_they_tell() -> None:
    """A channel that the classifiers do not look at goes nowhere."""
    activation = ClassActivation(3)
    with torch.no_grad():
        activation.mean.weight[0, 1] = activation.maximum.weight[0, 1] = 0
    x = torch.randn(1, 3, 4, 4)
    changed = x.clone()
    changed[:, 1] = 9
    for before, after in zip(activation(x), activation(changed), strict=True):
        assert torch.equal(before, after)


def test_classifiers_that_cannot_decide_cost_two_ln_two() -> None:
    """The plateau of U-GAT-IT's attention loss is chance: 1386 at its weight of 1000."""
    activation = ClassActivation(4)
    for layer in (activation.mean, activation.maximum):
        nn.init.zeros_(layer.weight)
    _, logits = activation(torch.randn(2, 4, 3, 3))
    losses = [functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, is_)) for is_ in (0.0, 1.0)]
    assert abs(1000 * sum(losses).item() - 1386.3) < 0.1
