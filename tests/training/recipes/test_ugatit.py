"""training.recipes.ugatit."""

from typing import ClassVar

from tests.training.recipes.conformance import Conformance


class TestUgatit(Conformance):
    name = "ugatit"
    settings: ClassVar = {
        "images": "8",
        "batch": "2",
        "size": "128",
        "width": "4",
        "discriminator_width": "2",
        "blocks": "1",
    }
