"""training.recipes.satnet: the original's losses and weights, and none of the faults that it is known for."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from export.alignment import SPHEREFACE
from export.contract import Contract
from export.parity import open_session
from tests.training import sets
from tests.training.recipes.conformance import Conformance, first_batch, stepped
from tests.training.recipes.conftest import SOURCE
from training.cli import app
from training.data.errors import DataError
from training.data.pack import Example, write
from training.data.pictures import read, squared
from training.data.terms import terms as terms_of
from training.engine.errors import CheckpointError, RecipeError, RunError
from training.engine.phase import Step
from training.engine.randomness import Random, Rows
from training.engine.run import Run
from training.engine.session import Session, publish_run
from training.networks.pixels import picture
from training.networks.sphereface import pictures_to_faces
from training.networks.vgg import Vgg16
from training.recipes.satnet import GENERATORS, Config, Recipe

NETWORKS = {"channels": 8, "blocks": 1, "mapping": 8, "discriminator_channels": 8, "layers": 2, "scales": 2}
SQUARES = {"height": 32, "width": 32, "margin": 4, "frame": "square-256", "identity": 0}
TOY = {"images": 4, "batch": 2, **NETWORKS, **SQUARES}


class TestSatnet(Conformance):
    name = "satnet"
    settings: ClassVar = {name: str(value) for name, value in {**TOY, "images": 8}.items()}

    def test_the_encoder_of_a_style_is_exported(self, run: Path, tmp_path: Path) -> None:
        """What it reads of a picture is what the run's average reads, and what a translator of the same run takes."""
        to = tmp_path / "models" / "style" / "1"
        publish_run(run, to, settings={"exports": "drawing-style"})
        session, seen = open_session((to / "model.onnx").read_bytes()), pictures()["drawing_image"]
        (style,) = session.run(None, {"image": seen.numpy()})
        tensors, _ = Run(run).state("satnet")
        prefix, reader = "averages/drawing_generator/style.", toy().networks()["drawing_generator"].style.eval()
        reader.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        with torch.no_grad():
            assert np.abs(reader(picture(seen)).numpy() - style).max() < 1e-4
        assert toy().contract({}).control("style").value(style[0]).shape == (8,)

    def test_another_export_is_no_other_run(self, run: Path) -> None:
        """What is exported is not what was trained: the same run goes on, which it does not with other networks."""
        Run(run).begin("satnet", toy(images=8, exports="photo", sources=(SOURCE,)))
        with pytest.raises(RunError, match="began with blocks=1; it cannot go on with blocks=2"):
            Run(run).begin("satnet", toy(blocks=2, sources=(SOURCE,)))


def toy(**settings: object) -> Recipe:
    """The recipe on toy size."""
    return Recipe(Config(**{**TOY, **settings}))


def pictures(size: tuple[int, int] = (32, 32), rows: int = 2) -> dict[str, Tensor]:
    """A batch of noise, by domain."""
    random = np.random.default_rng(0)
    return {
        f"{domain}_image": torch.from_numpy(random.integers(0, 256, (rows, *size, 3), dtype=np.uint8))
        for domain in ("photo", "drawing")
    }


# The original's settings


def test_its_settings_are_the_originals() -> None:
    """Weights of the losses, rates of both sides, Adam's, decay, sizes."""
    own = Config()
    losses = (own.adversarial, own.reconstruction, own.style, own.content, own.cycle)
    assert losses == (1, 10, 1, 1, 10)
    assert (own.perceptual, own.identity, own.threshold, own.same_identity) == (0, 10, 0.2875, 0)
    assert (own.height, own.width, own.style_size, own.objective) == (224, 192, 8, "hinge")
    rates = {}
    for phase in Recipe(own).phases():
        assert phase.optimiser is not None
        optimiser = phase.optimiser([("x", nn.Parameter(torch.ones(2)))])
        rates[phase.name] = optimiser.param_groups[0]["lr"]
        assert optimiser.defaults["betas"] == (0, 0.9) and optimiser.param_groups[0]["weight_decay"] == 1e-4
    assert rates == {"discriminator": 4e-4, "generator": 1e-4} and list(rates) == ["discriminator", "generator"]


def test_rates_fall_to_nothing() -> None:
    """The original's linear decay ended at 0.889 of the rate; here both are whole up to there, and 0 at the end."""
    for phase in Recipe(Config()).phases():
        shares = [phase.schedule(seen) for seen in (0, 399_999, 425_000, 450_000)]
        assert shares == pytest.approx([1, 1, 0.5, 0])
    for images in (10, 1_000_000):  # of shorter and longer runs too
        assert toy(images=images).phases()[0].schedule(images) == 0


@pytest.mark.parametrize(
    ("schedule", "wanted"), [("constant", [1, 1, 1]), ("step", [1, 0.5, 0.25]), ("cosine", [1, 0.5, 0.0])]
)
def test_other_schedules_are_those_of_the_file(schedule: str, wanted: list[float]) -> None:
    """Constant, halved again and again, and half a cosine."""
    (phase, _) = toy(images=1000, schedule=schedule, falls_after=0.4).phases()
    places = (0, 500, 1000)
    assert [phase.schedule(seen) for seen in places] == pytest.approx(wanted, abs=0.01)


def test_the_first_step_is_at_the_whole_rate(pack: Path, tmp_path: Path) -> None:
    """The original moved its schedules before its optimisers, so that the first rate was never used.

    Adam's first step changes a weight by its rate, whatever the gradient.
    """
    recipe = toy(decay=0, images=2)
    torch.manual_seed(recipe.config.seed)
    begun = recipe.networks()
    settings = {name: str(value) for name, value in {**TOY, "decay": 0, "images": 2}.items()}
    assert Session("satnet", settings, tmp_path, device="cpu").train(pack)
    tensors, _ = Run(tmp_path).state("satnet")
    for name, rate in (("photo_generator", 1e-4), ("photo_discriminator", 4e-4)):
        moved = [
            (tensors[f"networks/{name}/{key}"] - value).abs().max().item()
            for key, value in begun[name].named_parameters()
        ]
        assert max(moved) == pytest.approx(rate, rel=0.01)


# Losses


class Plain(nn.Module):
    """A generator: content is the picture, style its mean colour, and the decoder does as it is told."""

    def __init__(self, decoder: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.content = nn.Identity()
        self.style = Mean()
        self.decoder = Told(decoder)


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class Told(nn.Module):
    def __init__(self, decoder: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.does = decoder

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        return self.does(content, style)


def judged(recipe: Recipe, decoder: Callable[[Tensor, Tensor], Tensor], **more: Tensor) -> dict[str, float]:
    """The generators' terms of plain ones."""
    networks = recipe.networks() | {name: Plain(decoder) for name in GENERATORS}
    step = Step(networks, pictures() | more, 0, Random(0, 0, Rows(0, 2, 2)))
    return {name: term.item() for name, term in recipe.generator_loss(step).items()}


def test_who_changes_nothing_comes_back() -> None:
    """Reconstruction, cycle and content cost nothing then, the style does, and all have both directions."""
    terms = judged(toy(style_size=3), lambda content, style: content)
    assert len(terms) == 10
    for name, value in terms.items():
        free = name.startswith(("reconstruction", "cycle", "content"))
        assert (value == 0) == free, name


def test_the_style_that_was_drawn_is_read_back() -> None:
    """Not another one: of a decoder that paints its style and nothing else, the style's term is 0."""
    terms = judged(toy(style_size=3), lambda content, style: style[..., None, None].expand_as(content))
    assert terms["style_photo"] < 1e-6 and terms["style_drawing"] < 1e-6
    assert terms["content_photo"] > 0.1 and terms["reconstruction_photo"] > 1


def test_the_content_of_a_real_picture_is_held() -> None:
    """The content's term pulls what is read of the made picture; else it could be lowered by reading less of both."""
    recipe = toy(style_size=3)
    networks = recipe.networks() | {name: Plain(lambda content, style: 0 * content.detach()) for name in GENERATORS}
    for name in GENERATORS:
        networks[name].content = nn.Conv2d(3, 3, 1)
    terms = recipe.generator_loss(Step(networks, pictures(), 0, Random(0, 0, Rows(0, 2, 2))))
    terms["content_photo"].backward()
    assert networks["photo_generator"].content.bias.grad is None
    assert networks["drawing_generator"].content.bias.grad.any()


def test_weights_are_of_the_terms() -> None:
    """Each setting multiplies its own terms, and no other."""
    weights = {"adversarial": 1.0, "reconstruction": 10.0, "style": 1.0, "content": 1.0, "cycle": 10.0}

    def terms(**settings: float) -> dict[str, float]:
        torch.manual_seed(0)
        return judged(toy(style_size=3, **settings), lambda content, style: 0.5 * content)

    before = terms()
    for name, weight in weights.items():
        after = terms(**{name: 2 * weight})
        for term, value in after.items():
            assert value == pytest.approx(before[term] * (2 if term.startswith(name) else 1)), term


def test_scales_are_summed_and_squares_are_whole() -> None:
    """A hinge costs 2 for each scale where a discriminator says nothing, least squares cost 1, not halved."""
    for objective, wanted in (("hinge", 2 * 2), ("lsgan", 2 * 1), ("nsgan", 2 * 2 * np.log(2))):
        recipe = toy(objective=objective)
        networks = recipe.networks()
        for name in ("photo_discriminator", "drawing_discriminator"):
            for view in networks[name].views.values():
                nn.init.zeros_(view.heads["patch"].weight)
        terms = recipe.discriminator_loss(Step(networks, pictures(), 0, Random(0, 0, Rows(0, 2, 2))))
        assert [term.item() for term in terms.values()] == pytest.approx([wanted, wanted], rel=1e-4)


def test_the_same_person_is_drawn_like_the_other_picture() -> None:
    """Only in pairs that show one person, by a mean over all; the style is the other picture's own."""
    recipe, seen = toy(style_size=3, same_identity=1.0), pictures()

    def painted(content: Tensor, style: Tensor) -> Tensor:
        return style[..., None, None].expand_as(content)

    far = {}
    for name, same in (("nobody", [False, False]), ("second", [False, True]), ("both", [True, True])):
        far[name] = judged(recipe, painted, same=torch.tensor(same))["same_identity_drawing"]
    drawings = seen["drawing_image"].permute(0, 3, 1, 2).float() / 127.5 - 1
    each = (drawings - drawings.mean((2, 3), keepdim=True)).abs().mean((1, 2, 3))
    assert far["nobody"] == 0
    assert far["second"] == pytest.approx(each[1].item() / 2, rel=1e-4)
    assert far["both"] == pytest.approx(each.mean().item(), rel=1e-4)


# Frozen networks


@pytest.fixture(name="faces", scope="module")
def faces_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of SATNet's frame at half of its size, of two people and of somebody unknown."""
    path, random = tmp_path_factory.mktemp("faces") / "faces.pack", np.random.default_rng(0)
    rows = [
        Example(
            random.integers(0, 256, (116, 100, 3), dtype=np.uint8),
            {"domain": domain, "person": person, "source": source},
        )
        for domain, source in (("photo", "album (CelebA, non-commercial research)"), ("drawing", "sketches (CC0)"))
        for person in ("ada", "bo", "")
    ]
    write(path, rows)
    return path


def at_half(encoder: Path, **more: object) -> dict[str, object]:
    """Settings of pictures that the face encoder knows."""
    known = {"height": 112, "width": 96, "margin": 4, "frame": "satnet", "identity": 10, "recogniser": str(encoder)}
    return {**TOY, **known, "images": 2, **more}


def test_identity_is_seen_by_the_network_that_was_trained(encoder: Path, faces: Path) -> None:
    """The original gave first weights to all of its networks after the encoder was loaded, that one too.

    While networks are made and trained, the encoder keeps the weights of its file; gradients flow through it to what
    was made, and the figures have how many are recognised.
    """
    recipe = Recipe(Config(**at_half(encoder, threshold=1.0))).fitted(faces, {})
    networks = recipe.networks()
    step = stepped(networks, first_batch(recipe, faces))
    terms = recipe.generator_loss(step)
    trained = torch.load(encoder, weights_only=True)
    used = recipe._recogniser.network.state_dict()
    assert used and all(torch.equal(value, trained[key]) for key, value in used.items())
    assert not any("recogniser" in name for name in networks)
    (terms["identity_drawing"] + terms["identity_photo"]).backward()
    assert networks["drawing_generator"].decoder.up[-2].weight.grad.any()
    assert all(each.grad is None for each in recipe._recogniser.network.parameters())
    assert 0 <= step.notes["recognised_photo"] <= 1 and "strength_photo_generator_1" in step.notes


def test_identity_is_a_mean_over_faces(encoder: Path) -> None:
    """Each compared with its own photo: the term is that of the rows one by one, where none is alike enough."""
    recipe = Recipe(Config(**at_half(encoder, threshold=1.0, style_size=3)))
    networks = recipe.networks() | {name: Plain(lambda content, style: content.flip(3)) for name in GENERATORS}
    seen = pictures((112, 96))
    terms = recipe.generator_loss(Step(networks, seen, 0, Random(0, 0, Rows(0, 2, 2))))
    photos = seen["photo_image"].permute(0, 3, 1, 2).float() / 127.5 - 1
    look = recipe._recogniser.network
    cosines = [
        nn.functional.cosine_similarity(look(pictures_to_faces(row)), look(pictures_to_faces(row.flip(3)))).item()
        for row in photos.split(1)
    ]
    assert terms["identity_drawing"].item() == pytest.approx(10 * (1 - np.mean(cosines)), rel=1e-3)


def test_who_stood_in_the_loss_is_said(encoder: Path, faces: Path) -> None:
    """The encoder with its digest, its terms and those of the data; nothing of it without identity."""
    known = Recipe(Config(**at_half(encoder))).fitted(faces, {}).config
    assert known.teachers[0].startswith("sphere.pth, sha256 ")
    assert terms_of(known.sources)["notice"].startswith("Research only: trained on album, sphere.pth,")
    without = Recipe(Config(**at_half(encoder, identity=0))).fitted(faces, {}).config
    assert not without.teachers and terms_of(without.sources)["notice"].startswith("Research only: trained on album,")


def test_the_perceptual_loss_trains(pack: Path, tmp_path: Path) -> None:
    """With a weight above 0 the original ended in an error, as its network was never made."""
    torch.manual_seed(0)
    torch.save(Vgg16().state_dict(), tmp_path / "vgg.pth")
    recipe = toy(perceptual=1.0, vgg=str(tmp_path / "vgg.pth")).fitted(pack, {})
    networks = recipe.networks()
    terms = recipe.generator_loss(stepped(networks, first_batch(recipe, pack)))
    assert terms["perceptual_drawing"] > 0 and terms["perceptual_photo"] > 0
    terms["perceptual_drawing"].backward()
    assert networks["drawing_generator"].decoder.up[-2].weight.grad.any()
    assert recipe.config.teachers[0].startswith("vgg.pth, sha256 ")


@pytest.mark.parametrize(
    ("settings", "error", "complaint"),
    [
        ({"perceptual": 1.0}, RecipeError, "perceptual: takes VGG-16's weights; --set vgg=FILE"),
        ({"perceptual": 1.0, "vgg": "none.pth"}, CheckpointError, "none.pth cannot be read"),
        ({"identity": 1.0}, RecipeError, "identity: the face encoder knows pictures of 224 x 192 or 112 x 96"),
        (
            {"identity": 1.0, "height": 112, "width": 96, "frame": "satnet", "recogniser": "none.pth"},
            CheckpointError,
            "none.pth cannot be read",
        ),
        ({"height": 30}, RecipeError, "height and width: must be multiples of 4"),
        ({"same_identity": 1.0}, DataError, "same_identity takes pictures with `person`"),
        ({"falls_after": 0.0}, RecipeError, "falls_after: input should be greater than 0"),
    ],
)
def test_what_is_missing_is_told_before_a_run_begins(
    settings: dict[str, object], error: type[Exception], complaint: str, pack: Path, tmp_path: Path
) -> None:
    """A file, a size, a column; there is no folder of a run yet."""
    texts = {name: str(value) for name, value in {**TOY, **settings}.items()}
    with pytest.raises(error, match=complaint):
        Session("satnet", texts, tmp_path / "run", device="cpu").train(pack)
    assert not (tmp_path / "run").exists()


def test_pairs_of_one_person_are_shown_where_they_are_learnt_from(encoder: Path, faces: Path) -> None:
    """Every other pair; those without a name are nobody's partner, and without that loss domains go their own ways."""
    recipe = Recipe(Config(**at_half(encoder, identity=0, same_identity=1.0))).fitted(faces, {})
    rows = [recipe.stream(faces)[place] for place in range(24)]
    assert all(row["same"] == (row["photo_person"] == row["drawing_person"] != 0) for row in rows)
    assert sum(bool(row["same"]) for row in rows) >= 8
    terms = recipe.generator_loss(stepped(recipe.networks(), first_batch(recipe, faces)))
    assert torch.isfinite(terms["same_identity_photo"])
    assert "same" not in Recipe(Config(**at_half(encoder))).stream(faces)[0]


# What is shown and exported


def test_what_is_shown_is_as_bright_as_it_is() -> None:
    """The original saved pictures of -1..1 as if they were of 0..1: all that is darker than grey became black."""
    recipe, seen = toy(style_size=3), pictures(rows=8)
    networks = {name: Plain(lambda content, style: content) for name in GENERATORS}
    sheet = recipe.sheet(networks, seen, Random(0, 0, Rows(0, 8, 8)))
    assert sheet is not None and sheet.shape == (4, 8, 32, 32, 3)
    for row, domain in enumerate(("photo", "photo", "drawing", "drawing")):
        assert np.array_equal(sheet[row], seen[f"{domain}_image"].numpy())
    assert np.array_equal(recipe.exported(networks)(seen["photo_image"], torch.zeros(8, 3)), seen["photo_image"])


def test_in_use_the_middle_is_cut() -> None:
    """The original cut at random in use too; here the frame is the middle, which is twice that of SphereFace."""
    template = Recipe(Config()).contract({}).template
    assert template is not None and (template.width, template.height) == (192, 224)
    assert np.allclose(template.points, 2 * np.array(SPHEREFACE.points))
    half = Recipe(Config(height=112, width=96, margin=4)).contract({}).template
    assert half is not None and np.allclose(half.points, SPHEREFACE.points, atol=0.3)


def test_a_run_has_four_exports() -> None:
    """Drawings of photos by default, photos of drawings, and the encoders of both styles, which take no style."""
    networks = toy().networks()
    photo, drawing = (networks[name] for name in GENERATORS)
    for exports, content, decoder in (("drawing", photo, drawing), ("photo", drawing, photo)):
        translator = toy(exports=exports).exported(networks)
        assert translator.content is content.content and translator.decoder is decoder.decoder
    for exports, generator in (("drawing-style", drawing), ("photo-style", photo)):
        assert toy(exports=exports).exported(networks).encoder is generator.style
        contract = toy(exports=exports).contract({})
        assert (contract.role, contract.controls, contract.output_shape) == ("style", (), (8,))
    assert Config().exports == "drawing"


def test_any_two_folders_become_a_translator(tmp_path: Path) -> None:
    """With trainA and trainB of whatever and no face looked for: pack, train, export from B to A, and draw.

    Two styles make two pictures, and a style makes the same twice.
    """
    sets.folder(tmp_path / "set" / "trainA", 5)
    sets.folder(tmp_path / "set" / "trainB", 3)
    pack, run = tmp_path / "set.pack", tmp_path / "run"
    domains = ("--domain", "A=photo", "--domain", "B=drawing")
    chosen = [word for name, value in TOY.items() for word in ("--set", f"{name}={value}")]
    for words in (
        ("data", "pack", tmp_path / "set", "--format", "trainA-trainB", *domains, "--side", 36, "--into", pack),
        ("train", "satnet", "--data", pack, "--into", run, "--device", "cpu", *chosen),
        ("export", run, "--to", tmp_path / "models" / "satnet" / "1", "--set", "exports=photo"),
    ):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
    graph = (tmp_path / "models" / "satnet" / "1" / "model.onnx").read_bytes()
    session = open_session(graph)
    contract = Contract.from_metadata(session.get_modelmeta().custom_metadata_map, "")
    assert set(contract.parity) == {"batch_1", "batch_2", "batch_5", "row"}
    drawing = squared(read(tmp_path / "set" / "trainB" / "0.png"), 32)
    feed = contract.feed([drawing] * 3, [{"style": contract.draw_style(seed)} for seed in (1, 1, 2)])
    first, again, other = contract.images(session.run(None, feed)[0])
    assert np.array_equal(first, again) and not np.array_equal(first, other)
