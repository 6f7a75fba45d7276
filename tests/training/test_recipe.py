"""training.engine.recipe: recipes are found by name and configured by text."""

from contextlib import nullcontext

import pytest
import torch

from tests.training.toy import Toy
from training.engine import recipe
from training.engine.errors import RecipeError
from training.networks.ugatit import discriminator
from training.recipes.ugatit import LEAST


def test_settings_come_as_text() -> None:
    """Each is read as what its field is."""
    configured = recipe.configured(Toy, {"rate": "0.5", "images": "128"})
    assert configured.config.rate == 0.5 and configured.config.images == 128 and configured.config.batch == 8


@pytest.mark.parametrize(
    ("setting", "complaint"), [("rat", "rat: no setting of this recipe; there are images"), ("rate", "rate: .*number")]
)
def test_a_setting_that_is_none_is_named(setting: str, complaint: str) -> None:
    """Neither a misspelt name nor a value of another kind is passed over."""
    with pytest.raises(RecipeError, match=complaint):
        recipe.configured(Toy, {setting: "fast"})


def test_a_configuration_has_the_recipe_s_own_names() -> None:
    """Unless it says otherwise, with nothing passed over."""
    assert Toy.translated({"rate": 0.5, "other": 1}, "x.yaml") == ({"rate": 0.5, "other": 1}, ())


@pytest.mark.parametrize("name", ["images", "batch", "parts", "half_life", "measured"])
def test_what_cannot_be_none_is_refused(name: str) -> None:
    """Nor can it be less, as text or as a number."""
    for value in ("0", -1):
        with pytest.raises(RecipeError, match=f"{name}: must be 1 or more, not {value}"):
            recipe.configured(Toy, {name: value})


@pytest.mark.parametrize("name", ["seed", "report", "checkpoint", "sheet", "measure", "keep"])
def test_never_is_0_and_not_less(name: str) -> None:
    """0 is taken as what it says."""
    assert getattr(recipe.configured(Toy, {name: "0"}).config, name) == 0
    with pytest.raises(RecipeError, match=f"{name}: must be 0 or more, not -1"):
        recipe.configured(Toy, {name: "-1"})


@pytest.mark.parametrize(
    ("name", "setting", "value", "complaint"),
    [
        ("ugatit", "size", "130", "multiple of 4"),
        ("ugatit", "size", "30", "multiple of 4"),
        ("ugatit", "size", "64", "greater than or equal to 96"),
        ("dcgan", "size", "4", "greater than or equal to 8"),
        ("dcgan", "size", "33", "33 is no power of two"),
        ("stylegan2", "size", "48", "48 is no power of two"),
        ("stylegan2", "penalty_every", "0", "greater than or equal to 1"),
        ("stylegan2", "base", "8", "must be 64 or more, as `size` is, not 8"),
        ("stylegan2", "rate", "nan", "must be a finite number, not nan"),
        ("sphereface", "rate", "inf", "must be a finite number, not inf"),
    ],
)
def test_a_setting_of_which_nothing_can_be_made_is_named(name: str, setting: str, value: str, complaint: str) -> None:
    """Before a network fails of it with words of its own."""
    with pytest.raises(RecipeError, match=f"^{setting}: .*{complaint}"):
        recipe.configured(recipe.find(name), {setting: value})


def test_the_least_size_is_enough() -> None:
    """Of a discriminator with two views, and not four pixels less."""
    for size, enough in ((LEAST, True), (LEAST - 4, False)):
        with nullcontext() if enough else pytest.raises(RuntimeError):
            discriminator(1)(torch.zeros(1, 3, size, size))


def test_a_recipe_with_commands_of_its_own_says_so() -> None:
    """Those that are not trained by the engine."""
    with pytest.raises(RecipeError, match=r"python -m training\.recipes\.landmarks"):
        recipe.find("landmarks")


def test_an_unknown_recipe_is_told_what_there_is() -> None:
    """With all names."""
    with pytest.raises(RecipeError, match=f"no recipe 'sphereface2'; there are {recipe.names()[0]}"):
        recipe.find("sphereface2")
