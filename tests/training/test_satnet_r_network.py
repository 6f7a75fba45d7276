"""SATNet-R's networks, warp, painters and graphs: what each control does, and what it leaves alone."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from training.data.caricaturist import CODE_SIZE
from training.data.looks import STYLE_SIZE, STYLES, Look, laid_down, strokes
from training.networks.painters import Exemplar, FlatPainter, LayerPainter, Painter
from training.networks.pixels import picture, pixels
from training.networks.satnet_r import (
    STYLE_REACH,
    Cartoonist,
    Draughtsman,
    Restorer,
    StyleReader,
    Translator,
    discriminator,
    from_state,
)
from training.networks.size import parameter_count
from training.networks.warp import FAR, FRAME, GENTLER, LONGER, PARTS, Warp, WarpHead, eased, part_masks

SIDE = 128


@pytest.fixture(name="network", scope="module")
def network_() -> Translator:
    """A small one that exaggerates, each code in another way."""
    torch.manual_seed(0)
    head = WarpHead(4)
    for layer in (head.field, head.judge[-1], head.film):
        nn.init.normal_(layer.weight, std=0.05)
    return Translator(Warp(head, SIDE), Painter(SIDE, 4, 8)).eval()


@pytest.fixture(name="images", scope="module")
def images_() -> Tensor:
    """Smooth coloured pictures uint8 [3, 128, 128, 3]."""
    torch.manual_seed(1)
    return pixels(2 * nn.functional.interpolate(torch.rand(3, 3, 9, 9), (SIDE, SIDE), mode="bicubic") - 1)


@torch.no_grad()
def drawn(network: nn.Module, images: Tensor, **controls: Tensor) -> Tensor:
    """The translation at strength 1, of one style, with some controls other than by default."""
    count = len(images)
    by_default = {
        "strength": torch.ones(count),
        "style": torch.zeros(count, STYLE_SIZE),
        "code": torch.zeros(count, CODE_SIZE),
        "parts": torch.ones(count, len(PARTS)),
        "texture": torch.ones(count),
    }
    found: Tensor = network(images, **by_default | controls)
    return found


# Sizes


def work(network: nn.Module, side: int) -> float:
    """Multiplications and additions of one face."""
    with FlopCounterMode(display=False) as counter:
        drawn(network.eval(), torch.zeros(1, side, side, 3, dtype=torch.uint8))
    return counter.get_total_flops() / 2


def test_its_sizes() -> None:
    """At most 4 M parameters and 3.5 GMAC a face at 256 pixels; a small one has a third and a sixth of that."""
    whole = Translator(Warp(WarpHead(), even=True), Painter())
    assert parameter_count(whole) <= 4_000_000 and work(whole, FRAME) <= 3.5e9
    draughtsman = Draughtsman(Warp(WarpHead(), even=True), LayerPainter())
    assert parameter_count(draughtsman) <= 3_000_000 and work(draughtsman, FRAME) <= 1.5e9
    small = Translator(Warp(WarpHead(12), SIDE, even=True), Painter(SIDE, 24))
    assert parameter_count(small) <= 1_333_000 and work(small, SIDE) <= 0.58e9


def test_the_gradient_reaches_every_parameter(images: Tensor) -> None:
    """No part of the network is idle, whatever else is switched on."""
    torch.manual_seed(0)
    network = Translator(Warp(WarpHead(4), SIDE), Painter(SIDE, 4, 8, deformable=True)).train()
    code, alike = torch.randn(3, CODE_SIZE), torch.ones(3, len(PARTS))
    warped = network.warp(picture(images), torch.ones(3), code, alike)
    network.painter(warped, torch.randn(3, STYLE_SIZE)).square().mean().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


# Controls


def test_strength_zero_leaves_the_photo(network: Translator, images: Tensor) -> None:
    """Whatever the code is, and however much a part is to get."""
    code, parts = torch.randn(3, CODE_SIZE), torch.full((3, len(PARTS)), 2.0)
    found = drawn(network, images, strength=torch.zeros(3), code=code, parts=parts, texture=torch.zeros(3))
    assert torch.equal(found, images)


def test_every_strength_moves_further(network: Translator, images: Tensor) -> None:
    """The displacement grows with the strength."""
    none, alike = torch.zeros(3, CODE_SIZE), torch.ones(3, len(PARTS))
    with torch.no_grad():
        fields = [
            network.warp.displacement(picture(images), torch.full((3,), each), none, alike) for each in (0.5, 1, 2, 3)
        ]
    sizes = [field.abs().mean().item() for field in fields]
    assert sizes == sorted(sizes) and sizes[0] > 0


class Moves(nn.Module):
    """A head that moves all cells of each face equally fast, by a share of FAR."""

    def forward(self, face: Tensor, code: Tensor) -> Tensor:
        return torch.tensor([0.2, 1.0, 2.0, 4.0])[:, None, None, None].expand(4, 2, 32, 32) * FAR * 2 / FRAME / 2**0.5


def test_who_is_far_from_the_mean_is_multiplied_by_less() -> None:
    """All are moved longer than told, who is moved fast less so, and yet ever further."""
    none, one, alike = torch.zeros(4, CODE_SIZE), torch.ones(4), torch.ones(4, len(PARTS))
    plain, gentle = (
        Warp(Moves(), SIDE, gentle=each).velocity(torch.zeros(4, 3, SIDE, SIDE), one, none, alike).amax((1, 2, 3))
        for each in (False, True)
    )
    shares = (gentle / plain).tolist()
    assert shares[0] == shares[1] == pytest.approx(LONGER)
    assert shares[2:] == pytest.approx([LONGER * 2**-GENTLER, LONGER * 4**-GENTLER])
    assert (gentle.diff() > 0).all()


def test_a_face_is_moved_as_its_mirror_image_is() -> None:
    """Whatever the head has learnt, with any code: the field is turned over, and x points the other way."""
    torch.manual_seed(0)
    head = WarpHead(4).eval()
    nn.init.normal_(head.film.weight, std=0.1)
    faces, code, one, alike = torch.rand(2, 3, SIDE, SIDE), torch.randn(2, CODE_SIZE), torch.ones(2), torch.ones(2, 4)
    with torch.no_grad():
        fields = {
            even: [Warp(head, SIDE, even=even).displacement(each, one, code, alike) for each in (faces, faces.flip(3))]
            for even in (True, False)
        }
    turned = {even: field.flip(3) * torch.tensor([-1.0, 1.0])[:, None, None] for even, (_, field) in fields.items()}
    assert torch.allclose(fields[True][0], turned[True], atol=1e-6)
    assert not torch.allclose(fields[False][0], turned[False], atol=1e-6)


def test_a_code_begins_as_nothing_and_zero_stays_nothing(network: Translator) -> None:
    """A new head gives the same for every code; one that has learnt gives what it would without, for zero alone."""
    torch.manual_seed(0)
    faces, code, none = torch.rand(2, 3, 128, 128), torch.randn(2, CODE_SIZE), torch.zeros(2, CODE_SIZE)
    begun = WarpHead(4).eval()
    with torch.no_grad():
        assert torch.equal(begun(faces, code), begun(faces))
        learnt = network.warp.head
        assert torch.equal(learnt(faces, none), learnt(faces)) and not torch.allclose(
            learnt(faces, code), learnt(faces)
        )


def test_parts_that_are_alike_change_nothing(network: Translator, images: Tensor) -> None:
    """All ones give, bit by bit, the flow of what the head sees."""
    with torch.no_grad():
        velocity = network.warp.head(picture(images), torch.zeros(3, CODE_SIZE))
        found = network.warp.displacement(
            picture(images), torch.full((3,), 2.0), torch.zeros(3, CODE_SIZE), torch.ones(3, 4)
        )
        assert torch.equal(found, network.warp.flow(velocity * eased(torch.full((3, 1, 1, 1), 2.0))))


@pytest.mark.parametrize("part", range(len(PARTS)), ids=PARTS)
def test_a_part_without_a_share_stays(network: Translator, images: Tensor, part: int) -> None:
    """Nothing moves in its middle at any strength, and elsewhere what moved still does."""
    parts = torch.ones(3, len(PARTS))
    parts[:, part] = 0
    with torch.no_grad():
        field = network.warp.displacement(picture(images), torch.full((3,), 3.0), torch.zeros(3, CODE_SIZE), parts)
    middle = part_masks()[0, part] == 1
    assert middle.any() and not field[:, :, middle].any()
    assert field[:, :, part_masks()[0, part] == 0].abs().mean() > 0


def test_texture_is_from_the_photo_to_the_drawing(network: Translator, images: Tensor) -> None:
    """0 is the warped photo, 1 the painter's drawing of that, and half of it is between both."""
    with torch.no_grad():
        warped = network.warp(picture(images), torch.ones(3), torch.zeros(3, CODE_SIZE), torch.ones(3, 4))
        painted = network.painter(warped, torch.zeros(3, STYLE_SIZE))
    found = [drawn(network, images, texture=torch.full((3,), share)) for share in (0, 0.5, 1)]
    assert torch.equal(found[0], pixels(warped)) and torch.equal(found[2], pixels(painted))
    assert (found[1].float() - (pixels((warped + painted) / 2)).float()).abs().max() <= 1


def test_a_row_does_not_depend_on_its_neighbours(network: Translator, images: Tensor) -> None:
    """Each row of a batch equals the row alone within one level of rounding."""
    controls = {
        "strength": torch.tensor([0.0, 1.0, 2.0]),
        "style": torch.randn(3, STYLE_SIZE),
        "code": torch.randn(3, CODE_SIZE),
        "parts": 2 * torch.rand(3, len(PARTS)),
        "texture": torch.rand(3),
    }
    together = drawn(network, images, **controls)
    for row in range(3):
        one = {name: value[row : row + 1] for name, value in controls.items()}
        alone = drawn(network, images[row : row + 1], **one)
        assert (together[row].int() - alone[0].int()).abs().max() <= 1


# Other painters


@torch.no_grad()
def test_a_look_is_laid_down_from_what_is_seen_in_the_warped_photo(network: Translator) -> None:
    """One style by another from the same layers; without texture there is the warped photo."""
    torch.manual_seed(0)
    draughtsman = Draughtsman(Warp(network.warp.head), LayerPainter(width=4)).eval()
    image = pixels(2 * nn.functional.interpolate(torch.rand(1, 3, 9, 9), (FRAME, FRAME), mode="bicubic") - 1)
    warped = draughtsman.warp(picture(image), torch.ones(1), torch.zeros(1, CODE_SIZE), torch.ones(1, len(PARTS)))
    layers, styles = draughtsman.layers(warped), torch.tensor([each.style() for each in STYLES.values()])[:, None]
    for style in styles[:3]:
        wanted = pixels(2 * laid_down(layers, Look.from_style(style), strokes(FRAME)) - 1)
        assert torch.equal(drawn(draughtsman, image, style=style), wanted)
    assert torch.equal(drawn(draughtsman, image, texture=torch.zeros(1)), pixels(warped))


# The other direction


def test_a_restorer_paints_and_then_moves_what_it_has_painted(network: Translator, images: Tensor) -> None:
    """At strength 0 what the painter makes of the drawing in its own style; else that, moved as the warp sees fit."""
    torch.manual_seed(3)
    exemplar = Exemplar(4).eval()
    restorer, alike = Restorer(network.warp, network.painter, exemplar), torch.ones(3, len(PARTS))
    with torch.no_grad():
        painted = network.painter(picture(images), exemplar(picture(images)))
        assert torch.equal(restorer(images, torch.zeros(3), alike), pixels(painted))
        none = torch.zeros(3, CODE_SIZE)
        moved = network.warp.moved(painted, network.warp.displacement(picture(images), torch.ones(3), none, alike))
        found = restorer(images, torch.ones(3), alike)
    assert torch.equal(found, pixels(moved)) and not torch.equal(found, pixels(painted))


# What is exported, and its judge


def test_a_reader_reads_nothing_that_a_translator_does_not_take(images: Tensor) -> None:
    """The exemplar's numbers, those beyond the reach of a style at the reach."""
    torch.manual_seed(0)
    exemplar = Exemplar(4)
    nn.init.normal_(exemplar[-1].bias, std=STYLE_REACH)
    with torch.no_grad():
        found, plain = StyleReader(exemplar)(images), exemplar(picture(images))
    assert (plain.abs() > STYLE_REACH).any() and torch.equal(found, plain.clamp(-STYLE_REACH, STYLE_REACH))


@torch.no_grad()
def test_what_is_exported_is_rebuilt_from_its_state(images: Tensor) -> None:
    """Translators of any widths, and readers."""
    torch.manual_seed(0)
    reader = StyleReader(Exemplar(5)).eval()
    assert torch.equal(from_state(reader.state_dict())(images), reader(images))
    whole = torch.zeros(1, FRAME, FRAME, 3, dtype=torch.uint8)
    for deformable in (False, True):
        network = Translator(Warp(WarpHead(4)), Painter(width=6, deformable=deformable)).eval()
        state = {key: each for key, each in network.state_dict().items() if not key.endswith("num_batches_tracked")}
        assert torch.equal(drawn(from_state(state), whole), drawn(network, whole))
    for side in (FRAME, 2 * FRAME):
        draughtsman = Draughtsman(Warp(WarpHead(4), side, gentle=True, even=True), LayerPainter(side, 4)).eval()
        state = {key: each for key, each in draughtsman.state_dict().items() if not key.endswith("num_batches_tracked")}
        large = torch.zeros(1, side, side, 3, dtype=torch.uint8)
        assert torch.equal(drawn(from_state(state), large), drawn(draughtsman, large))
    cartoonist = Cartoonist(Warp(WarpHead(4)), FlatPainter(width=6)).eval()
    state = {key: each for key, each in cartoonist.state_dict().items() if not key.endswith("num_batches_tracked")}
    one, parts = torch.ones(1), torch.ones(1, len(PARTS))
    assert torch.equal(from_state(state)(whole, one, parts, one), cartoonist(whole, one, parts, one))


@pytest.mark.parametrize("side", [FRAME // 2, FRAME])
def test_its_judge_sees_patches_and_the_whole(side: int) -> None:
    """One logit of the whole picture, however large that is."""
    found = discriminator(side, 2)(torch.zeros(2, 3, side, side))
    assert found["whole_real"].shape == (2, 1, 1, 1)
    assert found["patch_real"].shape == (2, 1, side // 8 - 1, side // 8 - 1)
    assert discriminator(side, 2, whole=False)(torch.zeros(2, 3, side, side)).keys() == {"patch_real"}
