"""training.losses.augmentation: changes that a discriminator sees and a generator learns through."""

import pytest
import torch
from torch import Tensor

from training.engine.randomness import Random, Rows
from training.losses.augmentation import SHIFT, augmented, coloured, shifted

ROWS = 6
PICTURES = torch.rand(ROWS, 3, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1


def random(begin: int = 0, end: int = ROWS, total: int = ROWS) -> Random:
    """The same numbers whenever it is asked."""
    return Random(0, 1, Rows(begin, end, total))


def test_at_no_strength_nothing_changes() -> None:
    """But for the rounding of colours."""
    assert torch.allclose(augmented(PICTURES, random(), 0.0), PICTURES, atol=1e-6)
    assert torch.equal(shifted(PICTURES, random(), 0.0), PICTURES)


def test_at_full_strength_all_change() -> None:
    """In colour every picture, each in its own way; nearly every one is shifted."""
    changed = (coloured(PICTURES, random()) - PICTURES).abs().amax((1, 2, 3))
    assert changed.min() > 1e-3 and changed.unique().numel() == ROWS
    assert (shifted(PICTURES, random()) != PICTURES).any((1, 2, 3)).sum() >= ROWS - 1


def test_a_share_of_the_pictures_changes() -> None:
    """A kind of change has that probability for each picture: 0.3 for colours leaves 0.7^3 as they were."""
    flat = torch.rand(2000, 3, 1, 2)
    spared = (coloured(flat, random(0, 2000, 2000), 0.3) - flat).abs().amax((1, 2, 3)) < 1e-5
    assert spared.float().mean().item() == pytest.approx(0.7**3, abs=0.04)


def test_a_shift_is_by_whole_pixels() -> None:
    """An eighth of the side at most, and zeros come in."""
    bright = torch.zeros(500, 1, 16, 24)
    bright[:, :, 8, 12] = 1.0
    places = shifted(bright, random(0, 500, 500)).flatten(1).argmax(1)
    rows, columns = places // 24 - 8, places % 24 - 12
    assert rows.unique().tolist() == list(range(-2, 3)) and columns.unique().tolist() == list(range(-3, 4))
    assert 16 * SHIFT == 2 and 24 * SHIFT == 3
    came_in = shifted(torch.ones(500, 1, 16, 24), random(0, 500, 500))
    assert set(came_in.unique().tolist()) == {0.0, 1.0}


def test_gradients_flow_through_every_change() -> None:
    """They are those of finite differences."""
    pictures = (torch.rand(2, 3, 4, 5, dtype=torch.float64) - 0.5).requires_grad_()

    def changed(x: Tensor) -> Tensor:
        return augmented(x, random(0, 2, 2))

    assert torch.autograd.gradcheck(changed, pictures)


@pytest.mark.parametrize("index", [0, 3])
def test_a_picture_knows_nothing_of_its_neighbours(index: int) -> None:
    """Another picture in one row changes this row alone, forwards and in gradients."""
    other = PICTURES.clone().requires_grad_()
    with torch.no_grad():
        other[index] = -0.3
    before, after = augmented(PICTURES, random()), augmented(other, random())
    differs = (before != after).flatten(1).any(1)
    assert differs.tolist() == [row == index for row in range(ROWS)]
    after[index].sum().backward()
    assert (other.grad != 0).flatten(1).any(1).tolist() == [row == index for row in range(ROWS)]


def test_a_part_of_the_batch_is_changed_as_in_the_whole() -> None:
    """So that accumulation and several processes train what one would."""
    whole = augmented(PICTURES, random())
    parts = [augmented(PICTURES[begin : begin + 2], random(begin, begin + 2)) for begin in (0, 2, 4)]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32, torch.float64])
def test_precision_and_device_are_kept(kind: torch.dtype) -> None:
    """Numbers are drawn in float32, and the pictures stay what they are."""
    found = augmented(PICTURES.to(kind), random())
    assert found.dtype == kind and found.device == PICTURES.device and found.shape == PICTURES.shape
