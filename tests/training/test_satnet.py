"""training.networks.satnet: the published sizes, and what makes content and style of a picture."""

import pytest
import torch
from torch import Tensor, nn

from training.networks.normalisation import Affine, LayerInstanceNorm
from training.networks.satnet import Decoder, Generator, Translator, discriminator, strengths
from training.networks.size import parameter_count

TOY = {"width": 8, "halvings": 2, "blocks": 1, "style": 3, "mapping": 8}
X = torch.rand(2, 3, 28, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1


def parts(generator: Generator) -> list[int]:
    """Numbers of the content encoder, the style encoder, the decoder, and what turns a style into gains and shifts."""
    affine = [module for module in generator.decoder.modules() if isinstance(module, Affine)]
    mapping = sum(map(parameter_count, [generator.decoder.mapping, *affine]))
    counts = [parameter_count(each) for each in (generator.content, generator.style, generator.decoder)]
    return [*counts[:2], counts[2] - mapping, mapping]


def test_satnet_has_the_published_sizes() -> None:
    """Of a generator for each domain, of what is served, and of a discriminator by layers and scales."""
    with torch.device("meta"):
        generator, judge, small = Generator(), discriminator(), discriminator(layers=3, scales=2)
    assert parts(generator) == [6_648_257, 2_764_936, 7_017_028, 1_383_936]
    assert parameter_count(generator) == 17_814_157
    assert parameter_count(Translator(generator.content, generator.decoder)) == 15_049_221
    assert parameter_count(judge) == 3 * 3_085_378 and parameter_count(small) == 2 * 741_378


def test_with_neither_attention_nor_spectral_norm_it_is_munit() -> None:
    """Part by part; normalisation alone has no parameters of its own, and is of all layers but the first and last."""
    with torch.device("meta"):
        generator, judge = Generator(attention=False), discriminator(attention=False, spectral=False)
    assert parts(generator) == [5_385_856, 2_764_936, 5_754_627, 1_120_768]
    assert parameter_count(generator) == 15_026_187 and parameter_count(judge) == 8_271_171
    assert not any("parametrizations" in name for name in judge.state_dict())
    with torch.device("meta"):
        normalised = discriminator(attention=False)
    assert parameter_count(normalised) == 8_271_171
    assert sum(name.endswith("original") for name in normalised.state_dict()) == 3 * 3


@pytest.mark.parametrize(("width", "published"), [(16, 1.43e6), (24, 2.88e6), (32, 4.84e6), (48, 10.3e6)])
def test_narrower_ones_have_the_published_sizes_too(width: int, published: float) -> None:
    """To the three digits that they were published with."""
    with torch.device("meta"):
        assert parameter_count(Generator(width)) == pytest.approx(published, rel=3e-3)


def test_content_has_places_and_style_has_none() -> None:
    """A quarter of each side; a picture comes out as large as it went in, between -1 and 1."""
    generator = Generator(**TOY)
    content, style = generator.content(X), generator.style(X)
    assert content.shape == (2, 32, 7, 6) and style.shape == (2, 3)
    made = generator.decoder(content, style)
    assert made.shape == X.shape and made.abs().max() <= 1
    assert not torch.allclose(made, generator.decoder(content, style + 1), atol=1e-3)


def test_each_picture_is_drawn_by_itself() -> None:
    """Rows of a batch do not see each other."""
    generator = Generator(**TOY).eval()
    style = torch.randn(2, 3)
    together = generator.decoder(generator.content(X), style)
    alone = [generator.decoder(generator.content(X[row : row + 1]), style[row : row + 1]) for row in (0, 1)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_what_is_drawn_does_not_depend_on_what_was_drawn_before() -> None:
    """SATNet's spectral norm took a step of its estimate in use, too; here two looks at one picture are equal."""
    generator, judge = Generator(**TOY), discriminator(8, 2, 2)
    for strength in strengths({"generator": generator, "judge": judge}).values():
        strength.data.fill_(1.0)
    generator.eval(), judge.eval()
    style = torch.zeros(2, 3)
    once, again = (generator.decoder(generator.content(X), style) for _ in range(2))
    assert torch.equal(once, again)
    first, second = judge(X), judge(X)
    assert all(torch.equal(logits, second[name]) for name, logits in first.items())


def test_first_weights_are_the_originals() -> None:
    """Kaiming's of a generator, N(0, 0.02) of a discriminator, all biases 0, under spectral normalisation too."""
    torch.manual_seed(0)
    generator, judge = Generator(32), discriminator(32)
    assert all(not module.bias.any() for module in [*generator.modules(), *judge.modules()] if has_bias(module))
    for name, weight in generator.named_parameters():
        if weight.ndim == 4 and weight.numel() > 5_000:
            fan = weight[0].numel()
            assert weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.1), name
    for name, weight in judge.named_parameters():
        if weight.ndim == 4 and weight.numel() > 1_000:
            assert weight.std().item() == pytest.approx(0.02, rel=0.1), name


def has_bias(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None


def test_every_attention_is_told_whatever_it_is_called() -> None:
    """SATNet logged parameters whose name had "gamma" in it; a layer norm has one, an attention need not."""

    class Renamed(nn.Module):
        def __init__(self, decoder: Decoder) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.ones(()))
            self.look = decoder.attention

    generator, judge = Generator(**TOY), discriminator(8, 2, 3)
    told = strengths({"drawing": generator, "judge": judge, "other": Renamed(generator.decoder)})
    assert list(told) == [
        *("strength_drawing_0", "strength_drawing_1"),
        *("strength_judge_0", "strength_judge_1", "strength_judge_2"),
        "strength_other_0",
    ]
    assert all(isinstance(strength, Tensor) and strength.item() == 0 for strength in told.values())
    assert not strengths({"munit": Generator(**TOY, attention=False)})


def test_content_is_normalised_and_style_is_not() -> None:
    """Colour and contrast are style: of a brighter, flatter picture the content is the same, the style another one."""
    generator = Generator(**TOY).eval()
    with torch.no_grad():
        for layer in (generator.content, generator.style):
            layer[0].weight -= layer[0].weight.mean((1, 2, 3), keepdim=True)
    flatter = 0.5 * X + 0.2
    assert torch.allclose(generator.content(X), generator.content(flatter), atol=1e-3)
    assert not torch.allclose(generator.style(X), generator.style(flatter), atol=1e-3)
    assert not any(isinstance(module, LayerInstanceNorm) for module in generator.style.modules())
