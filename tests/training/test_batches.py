"""training.engine.batches: the examples of their places, whoever makes them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.disk import spoil
from training.data.errors import DataError
from training.data.pack import Example, Pack, write
from training.data.streams import Shuffled
from training.data.views import Views
from training.engine.batches import Places, loaded

WORKERS = pytest.mark.parametrize("workers", [0, 1, 2])


@pytest.fixture(name="pack")
def pack_(tmp_path: Path) -> Path:
    """Twelve pictures of two parts: each lighter than the one before it, and to the right."""
    path = tmp_path / "toy.pack"
    right = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None], (16, 16, 3))
    pictures = (20 * number + right for number in range(12))
    parts = ("train", "train", "test") * 4
    write(path, [Example(image, {"split": part}) for image, part in zip(pictures, parts, strict=True)])
    return path


def stream(pack: Path) -> Shuffled:
    """Random cuts of its part to learn from, mirrored at random."""
    return Shuffled(Views(Pack(pack).where("split", "train"), 12), seed=3)


@WORKERS
def test_batches_are_the_examples_of_their_places(pack: Path, workers: int) -> None:
    """In their order, from any place on, bit by bit, however many processes make them ahead of time."""
    examples = stream(pack)
    found = list(loaded(stream(pack), Places(8, 40, lambda _: 8, 0, 1), workers, pinned=False))
    assert [len(batch["image"]) for batch in found] == [8] * 4
    for number, batch in enumerate(found, 1):
        for row, place in enumerate(range(8 * number, 8 * number + 8)):
            assert np.array_equal(batch["image"][row].numpy(), examples[place]["image"])


@WORKERS
def test_a_process_gets_its_rows(pack: Path, workers: int) -> None:
    """Those of both, put together, are the batches of one."""
    whole = loaded(stream(pack), Places(0, 24, lambda _: 8, 0, 1), workers, pinned=False)
    halves = (loaded(stream(pack), Places(0, 24, lambda _: 8, each, 2), workers, pinned=False) for each in range(2))
    for batch, *parts in zip(whole, *halves, strict=True):
        assert torch.equal(batch["image"], torch.cat([part["image"] for part in parts]))


@WORKERS
def test_what_cannot_be_read_is_told_in_a_sentence(pack: Path, workers: int) -> None:
    """A picture by its number in the pack, which is not that in its part; after the batches before it."""
    examples = stream(pack)
    place = next(place for place in range(8) if examples[place]["image"].mean() // 20 == 7)
    spoil(pack, 7)
    batches = loaded(stream(pack), Places(0, 8, lambda _: 1, 0, 1), workers, pinned=False)
    for _ in range(place):
        next(batches)
    with pytest.raises(DataError) as caught:
        next(batches)
    assert str(caught.value) == f"{pack}: picture 7 is broken"


@WORKERS
def test_a_file_that_went_away_is_named(tmp_path: Path, workers: int) -> None:
    """What the system says of it, and no traceback."""

    class Files:
        def __getitem__(self, place: int) -> dict[str, int]:
            return {"size": (tmp_path / f"{place}.png").stat().st_size}

    with pytest.raises(FileNotFoundError) as caught:
        next(loaded(Files(), Places(0, 2, lambda _: 1, 0, 1), workers, pinned=False))
    assert str(caught.value) == f"[Errno 2] No such file or directory: '{tmp_path / '0.png'}'"
