"""training.data.looks: what is seen is laid down in any look."""

import numpy as np
import pytest
import torch
from torch import Tensor

from training.data.looks import (
    LIGHTNESS,
    RGB,
    STYLE_SIZE,
    STYLES,
    TINT,
    Layers,
    Look,
    laid_down,
    mapped,
    nearest,
    strokes,
    tones,
    without_grain,
)


def test_a_look_survives_its_style_vector():
    """Look -> style -> look returns the look; the middle look is the zero vector."""
    for look in STYLES.values():
        again = Look.from_style(torch.tensor([look.style()]))
        assert np.allclose([look.line, look.hatch], [float(again.line), float(again.hatch)], atol=1e-3)
    assert np.allclose(Look(*[0.5] * STYLE_SIZE).style(), 0)


def test_a_style_is_nearest_to_its_own_look():
    """Also when each of its numbers is a little off."""
    for name, look in STYLES.items():
        assert nearest(np.array(look.style()) + 0.2) == name


def test_strokes_and_dots_are_unrelated():
    """Values stay within -1..1, and no grating tells of another."""
    each = strokes(128).reshape(3, -1).numpy()
    assert np.abs(each).max() <= 1 and np.abs(np.corrcoef(each) - np.eye(3)).max() < 0.1


def test_grey_has_no_tint_and_colours_come_back() -> None:
    """Of opponent colours, in any order of pixels."""
    grey = torch.rand(1, 1, 4, 4).expand(1, 3, 4, 4)
    torch.testing.assert_close(mapped(grey, LIGHTNESS), 100 * grey[:, :1])
    assert mapped(grey, TINT).abs().max() < 1e-4
    picture = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(mapped(torch.cat([mapped(picture, LIGHTNESS), mapped(picture, TINT)], 1), RGB), picture)


def test_looks_of_a_batch_are_laid_down_each_by_itself() -> None:
    """As alone, in 0..1."""
    torch.manual_seed(0)
    layers = Layers(*(torch.rand(2, count, 8, 8) for count in (3, 2, 1, 1)), torch.tensor([50.0, 70]))
    styles, paper = torch.tensor([STYLES["oil"].style(), STYLES["ink"].style()]), strokes(8)
    both = laid_down(layers, Look.from_style(styles), paper)
    for place in (slice(0, 1), slice(1, 2)):
        own = Layers(*(each[place] for each in layers))
        torch.testing.assert_close(both[place], laid_down(own, Look.from_style(styles[place]), paper))
    assert both.min() >= 0 and both.max() <= 1


def test_what_is_darker_than_its_surroundings_becomes_ink() -> None:
    """Whatever the paint, which stays where nothing is; a faint line does only where a hand presses harder."""
    seen = plain(torch.full((1, 3, 8, 8), 0.8))
    seen.lines[..., 2, :], seen.lines[..., 5, :] = 0.06, 0.01
    relaxed, pressed = (laid(each, "ink")[0].mean((0, 2)) for each in (seen, seen._replace(attention=seen.painted)))
    assert relaxed[2] < 0.4 < 0.8 < relaxed[5] and (relaxed[5] - relaxed[7]).abs() < 1e-3
    assert pressed[5] < 0.6 * pressed[7]


def test_paint_has_few_tones() -> None:
    """Of a ramp of lightness a third changes half as fast, and other places more than twice as fast."""
    ramp = torch.linspace(0.2, 0.9, 64).expand(1, 3, 64, 64)
    steps = laid(plain(ramp), "gouache")[0, 1, 4].diff().abs() / ramp[0, 1, 4].diff()
    assert (steps < 0.5).float().mean() > 0.3 and steps.max() > 2


def test_tones_follow_one_another_without_a_gap() -> None:
    """In any look a lightness that is a little greater is a tone that is a little greater."""
    ramp = torch.linspace(0.3, 0.9, 4096).reshape(1, 1, 64, 64).expand(8, 3, 64, 64)
    torch.manual_seed(0)
    light, tint = mapped(ramp, LIGHTNESS), mapped(ramp, TINT)
    found = tones(light, tint, torch.full((8, 1, 1, 1), 70.0), Look.from_style(torch.randn(8, STYLE_SIZE)))
    assert found.flatten(2).diff().abs().max() < 2e-3


def test_paint_has_no_grain_but_where_the_likeness_is() -> None:
    """Of single dots hardly a ninth is left; eyes and mouth stay as they are."""
    paint = torch.zeros(1, 3, 9, 9)
    paint[..., 4, 4] = 0.9
    seen = plain(paint)
    torch.testing.assert_close(without_grain(seen)[0, 0, 3:6, 3:6], torch.full((3, 3), 0.1))
    assert torch.equal(without_grain(seen._replace(attention=seen.painted)), paint)


def test_a_larger_sheet_has_more_strokes_and_broader_ones() -> None:
    """Along a row of four times as many pixels there are twice as many."""
    small, large = (int((strokes(side)[0, 0].diff().sign().diff() != 0).sum()) for side in (128, 512))
    assert large == pytest.approx(2 * small, rel=0.1)


def plain(paint: Tensor) -> Layers:
    """Paint without a line."""
    nothing = torch.zeros_like(paint)
    return Layers(paint, nothing[:, :2].clone(), nothing[:, :1], 1 + nothing[:, :1], torch.tensor([80.0]))


def laid(layers: Layers, name: str) -> Tensor:
    return laid_down(layers, Look.from_style(torch.tensor([STYLES[name].style()])), strokes(layers.paint.shape[-1]))
