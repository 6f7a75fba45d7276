"""training.engine.recipe: recipes are found by name and configured by text."""

import pytest

from tests.training.toy import Toy
from training.engine import recipe
from training.engine.errors import RecipeError


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


def test_a_recipe_with_commands_of_its_own_says_so() -> None:
    """Those that are not trained by the engine."""
    with pytest.raises(RecipeError, match=r"python -m training\.recipes\.landmarks"):
        recipe.find("landmarks")


def test_an_unknown_recipe_is_told_what_there_is() -> None:
    """With all names."""
    with pytest.raises(RecipeError, match=f"no recipe 'sphereface2'; there are {recipe.names()[0]}"):
        recipe.find("sphereface2")
