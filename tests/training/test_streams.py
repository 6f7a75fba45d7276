"""training.data.streams: examples by their place."""

from collections import Counter

import numpy as np

from training.data.streams import Acquainted, Shuffled, Twinned, Unpaired
from training.engine.recipe import Row


class Numbers:
    """0..count - 1, each with a random number."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def row(self, index: int, random: np.random.Generator) -> Row:
        return {"index": index, "noise": random.random()}


def test_a_place_has_its_example_whoever_asks() -> None:
    """In any order, by any copy; its random numbers too."""
    one, other = Shuffled(Numbers(7), seed=1), Shuffled(Numbers(7), seed=1)
    ahead = [one[place] for place in range(30)]
    assert [other[place] for place in reversed(range(30))] == ahead[::-1]
    assert len({row["noise"] for row in ahead}) == 30


def test_every_epoch_has_all_in_another_order() -> None:
    """Nothing twice, nothing left out."""
    stream = Shuffled(Numbers(7), seed=1)
    epochs = [[stream[place]["index"] for place in range(7 * epoch, 7 * epoch + 7)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_every_fourth_example_is_the_one_before_it_once_more() -> None:
    """With a random number of its own; the others are as if there were none between them."""
    twinned, plain = Twinned(Numbers(7), seed=1, period=4), Shuffled(Numbers(7), seed=1)
    rows = [twinned[place] for place in range(24)]
    for place in range(3, 24, 4):
        assert rows[place]["index"] == rows[place - 1]["index"] and rows[place] != rows[place - 1]
    others = [row["index"] for place, row in enumerate(rows) if place % 4 != 3]
    assert others == [plain[place]["index"] for place in range(18)]


def test_domains_go_their_own_ways() -> None:
    """Of one size or not, an example of one says nothing about that of the other."""
    stream = Unpaired(photo=Numbers(5), drawing=Numbers(5))
    rows = [stream[place] for place in range(50)]
    assert rows[0].keys() == {"photo_index", "photo_noise", "drawing_index", "drawing_noise"}
    assert len({(row["photo_index"], row["drawing_index"]) for row in rows}) > 12


def test_the_shorter_domain_ends_nothing() -> None:
    """While all of a large domain is seen once, a small one is seen over and over.

    SATNet's loaders ended together with the shorter one, so that a tenth of its photos was seen in each epoch.
    """
    stream = Unpaired(photo=Numbers(30), drawing=Numbers(4))
    rows = [stream[place] for place in range(30)]
    assert sorted(row["photo_index"] for row in rows) == list(range(30))
    assert min(Counter(row["drawing_index"] for row in rows).values()) >= 7


def test_every_other_pair_is_of_one_person() -> None:
    """Whoever is in both domains; those whom nobody knows are nobody's partner, and each pair tells what it is."""
    people = {"photo": np.array([7, 8, -1, 9]), "drawing": np.array([8, -1, 7, 7, 8])}
    stream = Acquainted(people, photo=Numbers(4), drawing=Numbers(5))
    rows = [stream[place] for place in range(200)]
    assert [stream[place] for place in (3, 2)] == [rows[3], rows[2]]
    for place, row in enumerate(rows):
        one, other = people["photo"][row["photo_index"]], people["drawing"][row["drawing_index"]]
        assert row["same"] == (one == other and one >= 0)
        assert row["same"] or place % 2 == 0 or one in (-1, 9)
    partners = {row["drawing_index"] for place, row in enumerate(rows) if place % 2 and row["same"]}
    assert partners == {0, 2, 3, 4}
    assert sorted(row["photo_index"] for row in rows[:4]) == [0, 1, 2, 3]
