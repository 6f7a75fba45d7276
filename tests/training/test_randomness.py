"""training.engine.randomness: numbers that follow from seed and place."""

import pytest
import torch

from training.engine.errors import RecipeError
from training.engine.randomness import Random, Rows, seed_of


def test_parts_draw_what_the_whole_draws() -> None:
    """The rows of every part, put together, are the whole batch's."""
    whole = Random(3, 640, Rows(0, 8, 8))
    parts = [Random(3, 640, Rows(0, 8, 8).part(number, 4)) for number in range(4)]
    for draw in (lambda r: r.normal(2, 3), lambda r: r.uniform(), lambda r: r.whole(0, 10, 2)):
        assert torch.equal(draw(whole), torch.cat([draw(part) for part in parts]))


def test_another_seed_or_place_is_another_stream() -> None:
    """Neighbours do not share numbers, and neither do (1, 23) and (12, 3)."""
    seeds = {seed_of(*numbers) for numbers in ((0, 0), (0, 1), (1, 0), (1, 23), (12, 3), (0,))}
    assert len(seeds) == 6 and all(0 <= seed < 2**63 for seed in seeds)


def test_rows_are_divided_evenly_or_not_at_all() -> None:
    """A mean over parts is the mean only if they have one size."""
    assert Rows(8, 16, 32).part(1, 2) == Rows(12, 16, 32)
    with pytest.raises(RecipeError, match="8 rows cannot be divided by 3"):
        Rows(0, 8, 8).part(0, 3)
