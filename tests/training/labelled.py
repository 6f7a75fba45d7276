"""Toy faces whose hair, glasses and smile can be seen, packs of them with labels, and a judge who sees nothing."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from export.alignment import SQUARE_256
from training.data.pack import Example, write
from training.engine.run import Run
from training.recipes.attributes import Config, Recipe

SIDE = 64
COLOURS = np.array([(230, 190, 160), (240, 210, 80), (220, 70, 20), (110, 60, 30), (15, 15, 15), (150, 160, 170)])
"""Of hair, by its code."""
SOURCE = "toys (Nobody's, non-commercial research)"
POINTS = np.array(SQUARE_256.points) * SIDE / SQUARE_256.width


def face(hair: int, glasses: bool, smile: bool, ground: int = 255) -> np.ndarray:
    """uint8 [64, 64, 3] in the frame SQUARE_256: a band of hair, a bar over the eyes, lips above teeth or below."""
    image = np.full((SIDE, SIDE, 3), ground, np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    image[8:56, 12:52] = COLOURS[0]
    image[4:18, 8:56] = COLOURS[hair]
    if glasses:
        image[26:32, 14:50] = (20, 20, 160)
    middle = POINTS[3:].mean(0)
    mouth = (np.abs(x - middle[0]) < 7) & (np.abs(y - middle[1]) < 4)
    image[mouth] = 255
    image[mouth & ((y < middle[1]) == smile)] = (160, 0, 0)
    return image


def example(hair: int, glasses: bool, smile: bool, domain: str = "drawing", split: str = "train") -> Example:
    """With labels as the data sets have them; 1 is yes, -1 no."""
    labels = {"hair_color": hair, "eyeglasses": 2 * glasses - 1, "smiling": 2 * smile - 1}
    numbers = {name: np.float32(label) for name, label in labels.items()}
    image = face(hair, glasses, smile, 255 if domain == "drawing" else 90)
    return Example(image, {"domain": domain, "split": split, "source": SOURCE}, numbers)


def packed(path: Path, examples: Iterable[Example] | None = None) -> Path:
    """A pack of them; by default drawings that smile, and photos with every answer, a fourth of both set aside."""
    parts = ("train", "train", "train", "test")
    answers = [(hair, glasses, smile) for hair in range(6) for glasses in (False, True) for smile in (False, True)]
    drawn = (example(hair, glasses, True, "drawing", part) for hair, glasses, _ in answers for part in parts)
    seen = (example(*answer, "photo", part) for answer in answers for part in parts)
    write(path, [*drawn, *seen] if examples is None else examples)
    return path


def indifferent(folder: Path) -> tuple[Path, nn.Module]:
    """A run whose classifier always gives the first answer, and that classifier."""
    recipe = Recipe(Config(width=2, size=32, sources=(SOURCE,)))
    network = recipe.networks()["classifier"]
    for head in network.heads.values():
        nn.init.zeros_(head.weight)
        head.bias.data = torch.arange(len(head.bias)).flip(0).float()
    Run(folder).begin("attributes", recipe)
    tensors = {f"averages/classifier/{key}": value for key, value in network.state_dict().items()}
    Run(folder).save("attributes", tensors, images=16, steps=1, keep=False)
    return folder, network
