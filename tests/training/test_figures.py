"""training.engine.figures: means of what is logged."""

import math

import torch

from training.engine.figures import Figures, Totals


def test_a_mean_is_of_all_since_the_last_reading() -> None:
    """Of each name by itself; a look at it does not begin anew."""
    figures = Figures()
    figures.add({"a": torch.tensor(1.0), "b": torch.tensor(5.0)})
    figures.add({"a": torch.tensor(2.0)})
    assert figures.peek() == figures.read() == {"a": 1.5, "b": 5.0}
    assert figures.read() == {}


def test_a_mean_is_of_all_processes() -> None:
    """Also where one of them had nothing of a name; what is not finite in one is so in all."""
    other: Totals = {"a": (7.0, 3), "b": (5.0, 1), "c": (math.nan, 1)}
    figures = Figures(lambda mine: [mine, other])
    figures.add({"a": torch.tensor(1.0), "c": torch.tensor(1.0)})
    found = figures.read()
    assert found["a"] == 2.0 and found["b"] == 5.0 and math.isnan(found["c"])
