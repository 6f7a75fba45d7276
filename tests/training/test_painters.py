"""What SATNet-R and the cartoonist paint with, and what reads looks."""

import pytest
import torch
from torch import nn

from training.data.looks import STYLE_SIZE
from training.data.materials import USUAL
from training.networks.painters import Exemplar, FlatPainter, LayerPainter, Palette, Pen, coloured, paper
from training.networks.warp import FRAME

SIDE = 128


@torch.no_grad()
def test_flat_paint_has_a_few_colours_and_edges_of_the_whole_frame() -> None:
    """Where it is sure, nearly every pixel has one of them; edges are no blocks of what the network looks at."""
    torch.manual_seed(0)
    painter = FlatPainter(width=4).eval()
    painter.score.weight *= 100_000
    scores, colours = painter(torch.randn(1, 3, FRAME, FRAME).clamp(-1, 1))
    torch.testing.assert_close(colours[0], torch.from_numpy(USUAL).float() / 127.5 - 1)
    painted = coloured(scores, colours)
    away = (painted[:, None] - colours[..., None, None]).abs().amax(2).amin(1)
    assert (away < 0.01).float().mean() > 0.9
    assert (painted[..., ::2, :] != painted[..., 1::2, :]).any(1).float().mean() > 0.05


@torch.no_grad()
def test_layers_begin_as_the_photo_without_a_line() -> None:
    """Paint is the photo, nothing is darker than what surrounds it, and the skin is as light as the whole."""
    torch.manual_seed(0)
    painter = LayerPainter(width=4).eval()
    photo = torch.full((2, 3, FRAME, FRAME), -0.5)
    photo[1] = 0.5
    layers = painter(photo)
    torch.testing.assert_close(layers.paint, (photo + 1) / 2, atol=0.02, rtol=0)
    assert layers.lines.shape == (2, 2, FRAME, FRAME) and layers.lines.abs().max() < 2e-3
    torch.testing.assert_close(layers.lightness, torch.tensor([25.0, 75.0]))
    assert layers.attention.shape == layers.painted.shape == (2, 1, FRAME, FRAME)


@torch.no_grad()
def test_a_larger_photo_is_seen_as_the_frame_and_its_layers_enlarged() -> None:
    """Those of the frame, twice as large, so that they are the same picture from twice as far."""
    torch.manual_seed(0)
    small, large = LayerPainter(width=4).eval(), LayerPainter(2 * FRAME, width=4).eval()
    large.load_state_dict(small.state_dict())
    photo = nn.functional.interpolate(torch.randn(1, 3, 8, 8), (FRAME, FRAME), mode="bicubic").clamp(-1, 1)
    seen, enlarged = small(photo), large(photo.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert enlarged.paint.shape[-2:] == (2 * FRAME, 2 * FRAME)
    for one, other in zip(seen[:-1], enlarged[:-1], strict=True):
        torch.testing.assert_close(nn.functional.avg_pool2d(other, 2), one, atol=0.02, rtol=0)
    torch.testing.assert_close(seen.lightness, enlarged.lightness)


def test_strokes_are_those_of_the_whole_frame() -> None:
    """The same paper on fewer pixels: nowhere more contrast, and not other strokes."""
    whole, half = paper(FRAME), paper(FRAME // 2)
    assert half.shape == (1, whole.shape[1], FRAME // 2, FRAME // 2)
    torch.testing.assert_close(half[..., 3, 5], whole[..., 6:8, 10:12].mean((2, 3)))


def test_a_look_is_read_of_pictures_of_any_size() -> None:
    """And differs where colour or fine strokes do."""
    torch.manual_seed(0)
    network, plain = Exemplar(4), torch.zeros(1, 3, SIDE, SIDE)
    striped = plain.clone()
    striped[..., ::2] = 0.5
    found = network(torch.cat([plain, plain + 0.3, striped]))
    assert found.shape == (3, STYLE_SIZE) and network(plain[..., ::2, ::2]).shape == (1, STYLE_SIZE)
    assert not torch.allclose(found[0], found[1]) and not torch.allclose(found[0], found[2])


@pytest.mark.parametrize("upright", [True, False])
def test_the_pen_answers_to_dark_lines(upright: bool) -> None:
    """An untrained pen answers strongly on a dark line of either direction, not beside it, not on plain paper."""
    sheet = torch.ones(1, 3, 41, 41)
    sheet[..., 20:22] = -1
    sheet = sheet if upright else sheet.transpose(2, 3)
    answer = Pen()(sheet)[0, 0]
    on, beside = (answer[20, 20], answer[20, 8]) if upright else (answer[20, 20], answer[8, 20])
    assert on > 2 and abs(beside) < 0.05 and Pen()(torch.ones(1, 3, 41, 41)).abs().max() < 1e-5


def test_colours_follow_those_that_the_photo_has_there() -> None:
    """Not where it has them there: other colours choose others, the same in another order do not."""
    torch.manual_seed(0)
    palette = Palette(4)
    nn.init.normal_(palette.layers[-1].weight)
    seen, scores = torch.zeros(1, 4, 2, 2), torch.full((1, len(USUAL), 8, 8), -60.0)
    scores[:, 0, :4], scores[:, 1, 4:] = 60.0, 60.0
    photo = torch.zeros(1, 3, 8, 8)
    other = photo.clone()
    other[:, 0, 4:] = 0.7
    assert not torch.allclose(palette(photo, scores, seen), palette(other, scores, seen), atol=1e-3)
    shuffled = photo + 0.3 * torch.randn(1, 3, 8, 8)
    turned = shuffled.clone()
    turned[:, :, :4] = shuffled[:, :, :4].flip(3)
    torch.testing.assert_close(palette(shuffled, scores, seen), palette(turned, scores, seen))


def test_a_palette_begins_with_the_usual_colours() -> None:
    """Before it has learnt, every photo gets them."""
    scores, seen = torch.randn(2, len(USUAL), 8, 8), torch.randn(2, 4, 2, 2)
    found = Palette(4)(torch.randn(2, 3, 8, 8), scores, seen)
    torch.testing.assert_close(found[1], torch.from_numpy(USUAL).float() / 127.5 - 1)
