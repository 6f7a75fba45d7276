"""training.engine.checkpoint: one file, nothing in it is executed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from training.engine import checkpoint
from training.engine.errors import CheckpointError


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Tensors of any kind and shape, channels-last ones too, and facts."""
    tensors = {"a": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last), "b/c": torch.tensor(3)}
    checkpoint.save(tmp_path / "new" / "x.safetensors", tensors, {"images": 12, "recipe": "toy"})
    found, facts = checkpoint.load(tmp_path / "new" / "x.safetensors")
    assert facts == {"images": 12, "recipe": "toy"}
    assert found.keys() == tensors.keys() and all(torch.equal(found[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_not_opened(tmp_path: Path, zipped: bool) -> None:
    """Whatever it is called."""
    torch.save({"a": torch.zeros(1)}, tmp_path / "x.safetensors", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"x\.safetensors is a pickle"):
        checkpoint.load(tmp_path / "x.safetensors")


def test_a_header_of_any_length_is_no_pickle(tmp_path: Path) -> None:
    """Headers are multiples of 8 bytes, whose number comes first: each of its 32 lowest bytes, a pickle's 0x80 too."""
    path, first = tmp_path / "x.safetensors", set[int]()
    for length in range(0, 256, 8):
        checkpoint.save(path, {"a": torch.zeros(1)}, {"recipe": "x" * length})
        first.add(path.read_bytes()[0])
        checkpoint.load(path)
    assert first == set(range(0, 256, 8))


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    """A missing file, a truncated one, and tensors that are no run's."""
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match=r"x\.safetensors cannot be read"):
        checkpoint.load(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="no checkpoint of a run"):
        checkpoint.load(path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError, match=r"x\.safetensors cannot be read"):
        checkpoint.load(path)


def test_states_must_fit(tmp_path: Path) -> None:
    """The first key that is missing, left over or of another shape is named, with the file."""
    network = {"n": nn.Linear(2, 2)}
    state = nn.Linear(2, 2).state_dict()
    for states, complaint in (
        ({"weight": state["weight"]}, "old lacks n/bias, which the recipe has"),
        ({**state, "gain": state["bias"]}, "old has n/gain, which the recipe lacks"),
        ({**state, "bias": torch.zeros(3)}, r"old: n/bias has the shape \[3\], here it is \[2\]"),
    ):
        with pytest.raises(CheckpointError, match=complaint):
            checkpoint.restore(network, {"n": states}, "old")
