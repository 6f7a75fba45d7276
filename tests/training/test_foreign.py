"""training.engine.foreign: files of others, of which only tensors and plain values are read."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from training.engine.errors import CheckpointError, RecipeError
from training.engine.foreign import configuration, load


def test_states_in_states_are_one(tmp_path: Path) -> None:
    """By keys with a dot for each level, of any depth."""
    torch.save(
        {"a": {"x.weight": torch.ones(2), "deep": {"y": torch.zeros(())}}, "z": torch.ones(1)}, tmp_path / "x.pt"
    )
    assert load(tmp_path / "x.pt").keys() == {"a.x.weight", "a.deep.y", "z"}


def test_safetensors_are_read_too(tmp_path: Path) -> None:
    """By the suffix; a file that is none is named."""
    save_file({"weight": torch.arange(3.0)}, tmp_path / "x.safetensors")
    assert load(tmp_path / "x.safetensors")["weight"].tolist() == [0, 1, 2]
    (tmp_path / "y.safetensors").write_text("nothing")
    for name in ("y", "none"):
        with pytest.raises(CheckpointError, match=rf"{name}\.safetensors cannot be read"):
            load(tmp_path / f"{name}.safetensors")


def test_what_is_no_tensor_is_named_by_its_place(tmp_path: Path) -> None:
    """However deep."""
    torch.save({"a": {"step": 3}}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"x\.pt: a\.step is no tensor but a int"):
        load(tmp_path / "x.pt")


def test_a_configuration_is_plain(tmp_path: Path) -> None:
    """Numbers, words, keys in keys; what would make an object is refused, and what is none is named."""
    (tmp_path / "x.yaml").write_text("rate: 0.5  # fast\ngen:\n  dim: 64\n")
    assert configuration(tmp_path / "x.yaml") == {"rate": 0.5, "gen": {"dim": 64}}
    for text in ("!!python/object/apply:os.getcwd []", "rate: [", "just words", ""):
        (tmp_path / "y.yaml").write_text(text)
        with pytest.raises(RecipeError, match=r"y\.yaml (cannot be read|has no keys)"):
            configuration(tmp_path / "y.yaml")
