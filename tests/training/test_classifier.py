"""training.metrics.classifier: what is asked about which faces, and what comes of a classifier that knows."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tests.training.labelled import SIDE, example, face, packed
from training.data.attributes import ANSWERS
from training.data.pack import Pack
from training.metrics.classifier import answers, told


class Knowing(nn.Module):
    """Reads toy faces [B, 3, 64, 64]: the mean of the hair among COLOURS, the bar's blue, where the lips are."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        known = torch.from_numpy(np.stack([face(hair, False, True) for hair in range(6)]))
        self.colours = known[:, 10, 30].float() / 127.5 - 1

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        hair = -torch.cdist(pictures[:, :, 10, 30], self.colours)
        bar = pictures[:, 2, 28, 30] - pictures[:, 0, 28, 30]
        red = pictures[:, 0] - pictures[:, 1]
        smile = red[:, 42:45, 29:35].mean((1, 2)) - red[:, 46:49, 29:35].mean((1, 2))
        yes = {"eyeglasses": bar, "smiling": smile}
        return {"hair_color": hair} | {name: torch.stack([-each, each], 1) for name, each in yes.items()}


def test_who_knows_is_always_right(tmp_path: Path) -> None:
    """In every domain; a drawing that smiles is asked about twice, and once more counts as one picture."""
    found = {(each.domain, each.attribute): each for each in told(Knowing(), Pack(packed(tmp_path / "f.pack")), SIDE)}
    assert found.keys() == {(domain, name) for domain in ("drawing", "photo") for name in ANSWERS}
    for each in found.values():
        assert np.array_equal(each.known, each.found)
    smile = found["drawing", "smiling"]
    assert smile.pictures == 96 and len(smile.known) == 192 and smile.known.mean() == 0.5
    assert len(found["photo", "smiling"].known) == found["photo", "smiling"].pictures == 96


def test_what_is_not_known_is_not_asked(tmp_path: Path) -> None:
    """A face without a colour counts for the rest alone."""
    faces = [example(1, True, False, "photo"), example(2, False, False, "photo")]
    faces[1].numbers["hair_color"] = np.float32(-1)
    found = {each.attribute: each for each in told(Knowing(), Pack(packed(tmp_path / "f.pack", faces)), SIDE)}
    assert len(found["hair_color"].known) == 1 and len(found["eyeglasses"].known) == 2


def test_answers_are_the_likeliest() -> None:
    """In the order of the faces."""
    found = answers(Knowing(), [face(4, True, False), face(1, False, True)])
    assert {name: codes.tolist() for name, codes in found.items()} == {
        "hair_color": [4, 1],
        "eyeglasses": [1, 0],
        "smiling": [0, 1],
    }
