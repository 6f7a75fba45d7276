"""training.recipes.stylegan2."""

from typing import ClassVar

from tests.training.recipes.conformance import Generating


class TestStyleGan2(Generating):
    name = "stylegan2"
    settings: ClassVar = {"images": "16", "batch": "4", "size": "16", "base": "128", "most": "16", "penalty_every": "2"}
