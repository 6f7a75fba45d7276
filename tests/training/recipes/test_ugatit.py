"""training.recipes.ugatit."""

from tests.training.recipes.conformance import Conformance


class TestUgatit(Conformance):
    name = "ugatit"
    settings = {"images": "8", "batch": "2", "size": "128", "width": "4", "discriminator_width": "2", "blocks": "1"}
