"""training.onlookers: frozen networks are asked for what has a weight, and for nothing else."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.training.recipes.conformance import stepped
from training.engine.errors import CheckpointError, RecipeError
from training.losses.identity import faces_of_square
from training.networks.pixels import picture
from training.onlookers import Looking, Onlookers


@dataclass(frozen=True, kw_only=True)
class Settings(Looking):
    """Of a recipe that has nothing else."""

    images: int = 4
    batch: int = 2


PHOTOS = torch.randint(0, 256, (4, 128, 128, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_network_that_nobody_asks_is_not_looked_for() -> None:
    """Nor is there a source or a name of it."""
    nobody = Onlookers(Settings(recogniser="none.pth", classifier="nowhere"))
    assert not nobody.sources and not nobody.names
    with pytest.raises(CheckpointError, match=r"none\.pth"):
        _ = Onlookers(Settings(recogniser="none.pth", cosine=1.0)).names


def test_terms_without_a_weight_are_not_there(encoder: Path) -> None:
    """Each that has one weighs that much."""
    found = {
        weight: Onlookers(Settings(recogniser=str(encoder), cosine=weight, hinge=0.5 * weight, threshold=1.0)).identity(
            stepped({}, {"image": PHOTOS}), picture(PHOTOS.flip(0)), picture(PHOTOS)
        )
        for weight in (1.0, 3.0)
    }
    assert found[1.0].keys() == found[3.0].keys() == {"cosine", "hinge"}
    assert all(found[3.0][name] == pytest.approx(3 * term.item()) for name, term in found[1.0].items())
    assert found[1.0]["hinge"] == pytest.approx(found[1.0]["cosine"].item() / 2)


def test_a_person_is_the_mean_of_its_photos(encoder: Path) -> None:
    """And what is made is held against that where prototypes are asked for, whatever the photo shows."""
    onlookers = Onlookers(Settings(recogniser=str(encoder), cosine=1.0, prototypes=True))
    persons = torch.tensor([0, 1, 0, 1])
    batches = [{"image": PHOTOS[:2], "person": persons[:2]}, {"image": PHOTOS[2:], "person": persons[2:]}]
    known = onlookers.prototypes(batches, "image")
    assert known.shape == (2, 512) and torch.allclose(known.norm(dim=1), torch.ones(2))
    batch = {"image": PHOTOS, "prototype": known[persons]}
    held = [
        onlookers.identity(stepped({}, batch), picture(PHOTOS), photo)["cosine"].item()
        for photo in (picture(PHOTOS), picture(PHOTOS).flip(0))
    ]
    with torch.no_grad():
        seen = onlookers._recogniser.network(faces_of_square(picture(PHOTOS)))
    own = torch.nn.functional.cosine_similarity(seen, known[persons])
    assert held[0] == held[1] == pytest.approx((1 - own).mean().item(), abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [({"softness": 0.0}, "temperature and softness"), ({"prototypes": True}, "prototypes: are what hinge")],
)
def test_what_cannot_be_asked_is_told(settings: dict[str, object], complaint: str) -> None:
    """By the setting's name."""
    with pytest.raises(RecipeError, match=complaint):
        Settings(**settings)
