"""training.losses.adversarial: known values of the objectives."""

import math

import pytest
import torch

from training.engine.phase import Step
from training.engine.randomness import Random, Rows
from training.losses.adversarial import (
    COLLAPSE,
    HINGE,
    LEAST_SQUARES,
    NON_SATURATING,
    SATURATING,
    SPREAD,
    WASSERSTEIN,
    Objective,
    always_wins,
    by_heart,
    least_squares,
    note_signs,
    real_sign,
    relativistic,
    spread,
)

REAL, FAKE = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 3.0])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("objective", "discriminator", "generator"),
    [
        (LEAST_SQUARES, ((1 + 1) / 2 + (1 + 9) / 2) / 2, (4 + 4) / 4),
        (least_squares(-1, 1, 0), ((1 + 1) / 2 + (0 + 16) / 2) / 2, (1 + 9) / 4),
        (WASSERSTEIN, -1 + 1, -1),
        (HINGE, 0.5 + 2, -1),
        (
            NON_SATURATING,
            (softplus(-2) + softplus(0) + softplus(-1) + softplus(3)) / 2,
            (softplus(1) + softplus(-3)) / 2,
        ),
        (
            SATURATING,
            (softplus(-2) + softplus(0) + softplus(-1) + softplus(3)) / 2,
            -(softplus(-1) + softplus(3)) / 2,
        ),
    ],
)
def test_objectives_at_known_logits(objective: Objective, discriminator: float, generator: float) -> None:
    """Means over images, of real and of generated ones."""
    assert objective.discriminator(REAL, FAKE).item() == pytest.approx(discriminator)
    assert objective.deceive(FAKE).item() == pytest.approx(generator)


def test_places_of_a_patch_discriminator_are_averaged() -> None:
    """A map of equal logits is as good as one logit."""
    assert HINGE.discriminator(REAL[:, None, None, None].expand(2, 1, 3, 5), FAKE) == HINGE.discriminator(REAL, FAKE)


def test_least_squares_is_zero_at_its_targets() -> None:
    """And nowhere else."""
    assert LEAST_SQUARES.discriminator(torch.ones(3), torch.zeros(3)) == 0
    assert LEAST_SQUARES.discriminator(torch.ones(3), torch.full((3,), 0.1)) > 0


def test_relativistic_losses_are_of_differences() -> None:
    """A constant on both sides changes nothing; the two losses mirror each other."""
    ours, theirs = relativistic(REAL, FAKE)
    assert torch.allclose(torch.stack(relativistic(REAL + 7, FAKE + 7)), torch.stack([ours, theirs]), atol=1e-6)
    assert torch.equal(relativistic(FAKE, REAL)[0], theirs)


def test_half_precision_is_widened_first() -> None:
    """Logits of bfloat16 give a float32 loss."""
    assert NON_SATURATING.discriminator(REAL.bfloat16(), FAKE.bfloat16()).dtype == torch.float32


def test_the_sign_tells_overfitting() -> None:
    """1 where all real pictures are known as such."""
    assert real_sign(torch.tensor([1.0, 2.0, 0.1])) == 1 and real_sign(torch.tensor([1.0, -2.0])) == 0


def test_who_tells_all_apart_always_wins() -> None:
    """Only if neither kind is mistaken; with least squares two kinds that are the same are a guess."""
    many = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
    told = []
    for real, made in ((many + 4, many - 4), (many + 4, many), (many, many)):
        step = Step({}, {}, 0, Random(0, 0, Rows(0, 1, 1)))
        note_signs(step, real, made)
        figures = {name: value.item() for name, value in step.notes.items()}
        told.append([symptom.shows(figures) for symptom in (by_heart(), always_wins())])
    assert told == [[True, True], [True, False], [False, False]]


def test_the_spread_tells_collapse() -> None:
    """How much pictures differ beside real ones, whatever their mean; of one picture for all the symptom shows."""
    real = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert spread(real.flip(0) + 2, real).item() == pytest.approx(1, abs=1e-4)
    assert spread(0.5 * real, real).item() == pytest.approx(0.5, abs=1e-4)
    one = spread(real[:1].expand_as(real), real).item()
    assert one < 1e-4 and COLLAPSE.shows({SPREAD: one}) and not COLLAPSE.shows({SPREAD: 0.5})


def test_one_picture_alone_has_not_collapsed() -> None:
    """Of a batch of one nothing is known."""
    assert spread(REAL[:1].view(1, 1, 1, 1), FAKE[:1].view(1, 1, 1, 1)) == 1
