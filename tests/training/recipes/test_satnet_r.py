"""training.recipes.satnet_r: two parts that are trained apart, and one translator of both."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from export.contract import Contract
from export.parity import compare, draw_feed, open_session
from export.repository import GRAPH
from export.weights import load_state
from tests.training.labelled import packed
from tests.training.recipes.conformance import every_phase_learns, first_batch, pulled, stepped
from tests.training.recipes.conftest import noise
from training.data.caricaturist import CODE_SIZE
from training.data.errors import DataError
from training.data.looks import STYLE_SIZE, STYLES
from training.data.pack import Example, Pack, write
from training.data.paired import Drawings, Shapes, mirrored
from training.data.pairs import UNSEEN
from training.engine import checkpoint
from training.engine.errors import CheckpointError, RecipeError, RunError
from training.engine.randomness import Random, Rows
from training.engine.recipe import configured
from training.engine.run import FACTS, KEPT, LATEST, Run
from training.engine.session import Session, import_run, publish_run
from training.losses import frozen
from training.losses.identity import faces_of_square
from training.networks.pixels import picture
from training.networks.satnet_r import Restorer, Translator, from_state
from training.networks.warp import PARTS, part_masks, published
from training.recipes.satnet_r import ALIKE, Config, Recipe, relit

TOY = {"images": 4, "batch": 2, "apart": 2, "measure": 4, "checkpoint": 2, "keep": 2, "report": 2}
SMALL = {"side": 128, "warp_width": 4, "paint_width": 4, "discriminator_width": 2}
READER = Path(__file__).parents[3] / "models" / "style" / "1"
OF_CARICATURES = {"diversity": 0.0, "reader": "", "matched": "", "clusters": 0}
"""What photos of drawings are made without."""
IDENTITY = {"hinge": 1.0, "cosine": 1.0, "contrast": 1.0, "distillation": 1.0, "threshold": 0.9}


@pytest.fixture(name="drawings", scope="module")
def drawings_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos beside drawings of them."""
    path, random = tmp_path_factory.mktemp("drawings") / "drawings.pack", np.random.default_rng(1)
    rows = [
        Example(
            noise(random, 256, 512),
            {"source": "studio (CC0)", "person": "ab"[number % 2]},
            {"style": random.standard_normal(STYLE_SIZE).astype(np.float32), "male": np.float64(number % 2)},
        )
        for number in range(6)
    ]
    write(path, rows)
    return path


@pytest.fixture(name="others", scope="module")
def others_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings of nobody in particular."""
    path, random = tmp_path_factory.mktemp("others") / "others.pack", np.random.default_rng(2)
    names = {"domain": "drawing", "source": "sketches (CC0)"}
    write(path, [Example(noise(random, 128, 128), names, {"male": np.float64(male)}) for male in (0, 1, 1)])
    return path


@pytest.fixture(name="judge", scope="module")
def judge_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of a classifier of attributes."""
    folder = tmp_path_factory.mktemp("judge")
    small = {"images": 32, "batch": 16, "size": 32, "width": 4, "measure": 0, "sheet": 0, "warm_up": 16}
    session = Session("attributes", {name: str(value) for name, value in small.items()}, folder / "run", device="cpu")
    assert session.train(packed(folder / "faces.pack"))
    return folder / "run"


def trained(data: Path, folder: Path, begin_from: Path | None = None, **settings: object) -> Path:
    """A toy run at its end."""
    texts = {name: str(value) for name, value in {**TOY, **SMALL, **settings}.items()}
    assert Session("satnet_r", texts, folder, device="cpu").train(data, begin_from=begin_from)
    return folder


@pytest.fixture(name="warp", scope="module")
def warp_(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the warp, the averages of which are made to exaggerate as if it had learnt for long."""
    run = trained(shapes, tmp_path_factory.mktemp("warp") / "run")
    tensors, facts = checkpoint.load(run / LATEST)
    torch.manual_seed(0)
    for key in ("head.field.weight", "head.film.weight"):
        nn.init.normal_(tensors[f"averages/warp/{key}"], std=0.1)
    checkpoint.save(run / LATEST, tensors, facts)
    return run


@pytest.fixture(name="settings", scope="module")
def settings_(others: Path, encoder: Path, judge: Path) -> dict[str, object]:
    """Of a painter with everything in its loss."""
    return {
        "part": "paint",
        "texture": 0.1,
        "diversity": 0.1,
        "penalty_every": 2,
        "drawings": str(others),
        "recogniser": str(encoder),
        "attributes": 1.0,
        "classifier": str(judge),
        "prototypes": True,
        "reader": str(READER),
        "matched": "male",
        "clusters": 2,
        **IDENTITY,
    }


@pytest.fixture(name="paint", scope="module")
def paint_(drawings: Path, warp: Path, settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the painter, which begins from that of the warp."""
    return trained(drawings, tmp_path_factory.mktemp("paint") / "run", warp, **settings)


class Sees(nn.Module):
    """Answers with what it is there for, pictures as a network sees them."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self._answer = picture(answer) if answer.dtype == torch.uint8 else answer

    def forward(self, *_: torch.Tensor) -> torch.Tensor:
        return self._answer


def toy(**settings: object) -> Recipe:
    """The recipe on toy size."""
    found = configured(Recipe, {**TOY, **SMALL, **settings})
    assert isinstance(found, Recipe)
    return found


# Training


@pytest.mark.parametrize("part", ["warp", "paint"])
def test_it_resumes_exactly(
    part: str, shapes: Path, drawings: Path, settings: dict[str, object], warp: Path, tmp_path: Path
) -> None:
    """What goes on from half of a run ends as the run did, bit by bit, random light and mirrors included."""
    data, more = (shapes, {}) if part == "warp" else (drawings, settings | {"diversity": 0.0})
    whole, broken = trained(data, tmp_path / "whole", **more), tmp_path / "broken"
    broken.mkdir()
    shutil.copy(min((whole / KEPT).iterdir()), broken / LATEST)
    shutil.copy(whole / FACTS, broken / FACTS)
    trained(data, broken, **more)
    (first, end), (second, same) = (Run(each).state("satnet_r") for each in (whole, broken))
    assert end == same and first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("part", ["warp", "paint"])
def test_a_part_learns_and_leaves_the_other_one(
    part: str, shapes: Path, drawings: Path, settings: dict[str, object]
) -> None:
    """Each phase lowers its own loss of a batch by means of all that it trains; nothing else moves."""
    data, more = (shapes, {}) if part == "warp" else (drawings, settings | {"diversity": 0.0})
    recipe = toy(**more)
    assert [phase.trains for phase in recipe.phases()] == (
        [("warp",)] if part == "warp" else [("painter", "exemplar"), ("discriminator",), ("discriminator",)]
    )
    every_phase_learns(recipe, data)


@pytest.mark.parametrize("part", ["warp", "paint"])
def test_the_other_direction_learns_from_the_same_pairs(
    part: str, shapes: Path, drawings: Path, settings: dict[str, object]
) -> None:
    """By each phase too, in the painter's case with all in its loss that can be."""
    data, more = (shapes, {}) if part == "warp" else (drawings, settings | OF_CARICATURES)
    every_phase_learns(toy(direction="photo", **more), data)


def test_a_photo_is_wanted_of_its_drawing(drawings: Path) -> None:
    """Nothing is lost where the painter's picture is the photo; the style is the one that is read of the drawing."""
    recipe = toy(direction="photo", part="paint", apart=1)
    batch = first_batch(recipe, drawings)
    step = stepped({**recipe.networks(), "painter": Sees(batch["photo"]), "exemplar": Sees(batch["style"])}, batch)
    assert all(not term for term in recipe.paint_loss(step).values())


def test_a_warp_that_is_begun_from_stays(warp: Path, paint: Path) -> None:
    """Its weights and its statistics, bit by bit, though the painter's loss looks at what it makes."""
    before, after = (Run(each).state("satnet_r")[0] for each in (warp, paint))
    names = [key for key in before if key.startswith("averages/warp/")]
    assert names and all(torch.equal(before[key], after[key]) for key in names)
    assert all(torch.equal(after[key], after[key.replace("averages", "networks", 1)]) for key in names)


def test_its_figures_are_finite_and_of_pairs_set_apart(warp: Path, paint: Path) -> None:
    """Of every term and measure, and what tells of a sick discriminator; sheets are there too."""
    for run, wanted in ((warp, {"explained", "folded"}), (paint, {"colour", "edges", "style"})):
        lines = [json.loads(line) for line in (run / "figures.jsonl").read_text().splitlines()]
        assert all(np.isfinite(value) for line in lines for value in line.values())
        assert wanted <= set().union(*lines) and list((run / "sheets").iterdir())
    told = set().union(*lines)
    assert {symptom.figure for symptom in Recipe.symptoms} | {"recognised"} <= told
    assert {
        f"paint/{name}"
        for name in ("texture", "diversity", "attributes", "hinge", "cosine", "contrast", "distillation")
    } <= told


def test_what_has_no_weight_is_not_computed(shapes: Path, drawings: Path) -> None:
    """By default no face encoder is looked for, and there is no discriminator."""
    for part, data, terms in (
        ("warp", shapes, {"landmarks", "field"}),
        ("paint", drawings, {"colour", "edges", "lines", "style"}),
    ):
        recipe = toy(part=part, recogniser="none.pth")
        (phase,) = recipe.phases()
        assert phase.loss(stepped(recipe.networks(), first_batch(recipe, data))).keys() == terms
        assert "discriminator" not in recipe.networks() and recipe.teachers(data) == []


def test_drawings_are_held_by_what_they_show(drawings: Path, judge: Path) -> None:
    """The classifier's gradient comes to the painter alone; its data and it are named."""
    recipe = toy(part="paint", attributes=1.0, classifier=str(judge))
    networks = recipe.networks()
    recipe.paint_loss(stepped(networks, first_batch(recipe, drawings)))["attributes"].backward()
    assert pulled(networks["painter"]) and not pulled(networks["warp"].head)
    (name,) = recipe.teachers(drawings)
    assert name.startswith("run, sha256 ") and set(recipe.sources(drawings)) > {"studio (CC0)"}


def test_another_style_is_to_change_a_drawing_ever_less(drawings: Path) -> None:
    """Half as much at half of the images, and in the end nothing."""
    recipe = toy(part="paint", diversity=1.0)
    networks, batch, images = recipe.networks(), first_batch(recipe, drawings), recipe.config.images
    found = [
        recipe.paint_loss(replace(stepped(networks, batch), seen=seen))["diversity"].item()
        for seen in (0, images // 2, images)
    ]
    assert found[0] < 0 == found[2] and found[1] == pytest.approx(found[0] / 2)


def test_drawings_differ_no_further_than_pictures_can(drawings: Path) -> None:
    """From black to white, however far beyond them a painter goes."""
    recipe = toy(part="paint", diversity=1.0)
    networks = recipe.networks()
    networks["painter"].colour.weight.data *= 1e4
    assert -2 <= recipe.paint_loss(stepped(networks, first_batch(recipe, drawings)))["diversity"].item() < 0


def test_a_warp_is_held_by_who_it_is_of(shapes: Path, encoder: Path) -> None:
    """The face encoder's gradient comes to the head alone."""
    recipe = toy(recogniser=str(encoder), landmarks=0, field=0, cosine=1.0)
    networks = recipe.networks()
    recipe.warp_loss(stepped(networks, first_batch(recipe, shapes)))["cosine"].backward()
    assert pulled(networks["warp"].head) and not pulled(networks["painter"])


def test_a_person_is_known_by_all_its_photos(drawings: Path, encoder: Path) -> None:
    """What a picture is held against is the mean of its person's, not what the encoder sees in that photo."""
    recipe = toy(part="paint", recogniser=str(encoder), cosine=1.0, prototypes=True)
    batch = first_batch(recipe, drawings)
    look = frozen.recogniser(encoder).network
    with torch.no_grad():
        photos = [Drawings(Pack(drawings), 128, 0, 4).row(place, np.random.default_rng(0))["photo"] for place in (0, 2)]
        seen = F.normalize(look(faces_of_square(picture(torch.from_numpy(np.stack(photos))))), dim=1)
    first = batch["prototype"][batch["person"] == 0]
    assert len(first) and torch.allclose(first, F.normalize(seen.sum(0), dim=0), atol=1e-4)
    networks = recipe.networks()
    networks["warp"], networks["painter"] = Sees(batch["photo"]), Sees(batch["photo"])
    held = recipe.paint_loss(stepped(networks, batch))["cosine"]
    with torch.no_grad():
        own = F.cosine_similarity(look(faces_of_square(picture(batch["photo"]))), batch["prototype"])
    assert held.item() == pytest.approx((1 - own).mean().item(), abs=1e-5) and held > 1e-3


def test_what_is_judged_is_drawn_in_the_styles_of_drawings(drawings: Path, others: Path) -> None:
    """As the reader reads them, of somebody alike, and the discriminator is told of which kind it is."""
    chosen = {"texture": 1.0, "drawings": str(others), "reader": str(READER), "matched": "male", "clusters": 2}
    recipe = toy(part="paint", **chosen)
    batch, networks, given = first_batch(recipe, drawings), recipe.networks(), list[torch.Tensor]()
    networks["painter"].register_forward_hook(lambda _, taken, __: given.append(taken[1]))
    recipe.paint_loss(stepped(networks, batch))
    assert torch.equal(given[0], batch["style"]) and torch.equal(given[1], batch["other_style"])
    pack, reader = Pack(others), frozen.reader(READER)
    images = [cv2.resize(each, (256, 256), interpolation=cv2.INTER_LINEAR) for each in pack.images()]
    read = reader.network(torch.from_numpy(np.stack(images)))
    for style, male in zip(batch["other_style"], batch["male"], strict=True):
        nearest = int((read - style).abs().mean(1).argmin())
        assert (read[nearest] - style).abs().mean() < 0.2 and pack.columns["male"][nearest] == male
    recipe.phases()[1].loss(stepped(networks, batch))["adversarial"].backward()
    assert all(pulled(view.projection) for view in networks["discriminator"].views.values())


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"matched": "age"}, "has no column age"),
        ({"clusters": 4}, "3 drawings are of no 4 kinds"),
        ({"prototypes": True, "cosine": 1.0}, "has no column person"),
    ],
)
def test_packs_that_do_not_tell_enough_are_named(
    settings: dict[str, object], complaint: str, others: Path, encoder: Path, tmp_path: Path
) -> None:
    """Before anything is learnt."""
    chosen = {"texture": 1.0, "drawings": str(others), "reader": str(READER), "recogniser": str(encoder), **settings}
    image, style = np.zeros((256, 512, 3), np.uint8), np.zeros(STYLE_SIZE, np.float32)
    write(tmp_path / "untold.pack", [Example(image, {}, {"style": style})] * 4)
    with pytest.raises(DataError, match=complaint):
        toy(part="paint", **chosen).stream(tmp_path / "untold.pack")


def test_a_discriminator_can_see_patches_alone(drawings: Path, settings: dict[str, object]) -> None:
    """Each phase still learns."""
    recipe = toy(**{**settings, "whole": False})
    assert [*recipe.networks()["discriminator"].views] == ["patch"]
    every_phase_learns(recipe, drawings)


# Data


def test_a_mirrored_shape_is_the_shape_of_the_mirrored_face(shapes: Path) -> None:
    """Landmarks change sides with their names, and two mirrors are none."""
    row = Shapes(Pack(shapes), 0, 6, varied=False).row(1, np.random.default_rng(0))
    turned = mirrored(row)
    assert np.array_equal(turned["image"][:, 5], row["image"][:, -6])
    assert np.allclose(turned["landmarks"][36], [255, 0] + row["landmarks"][45] * [-1, 1])
    assert np.allclose(turned["displacement"][36], row["displacement"][45] * [-1, 1])
    assert np.allclose(turned["field"][3, 4], row["field"][3, -5] * [-1, 1])
    again = mirrored(turned)
    assert all(np.allclose(again[name], row[name], atol=1e-4) for name in row)


def test_an_unseen_look_is_left_out(tmp_path: Path) -> None:
    """Drawings in a style that is nearest to it, in training alone."""
    styles = [np.array(look.style(), np.float32) + 0.1 for look in STYLES.values()]
    image = np.zeros((256, 512, 3), np.uint8)
    write(tmp_path / "looks.pack", [Example(image, {}, {"style": style}) for style in styles])
    pack, random = Pack(tmp_path / "looks.pack"), np.random.default_rng(0)
    found = Drawings(pack, 128, 1, len(styles), unseen=UNSEEN)
    others = [style for name, style in zip(STYLES, styles, strict=True) if name != UNSEEN][1:]
    assert np.allclose([found.row(place, random)["style"] for place in range(len(found))], others)
    assert len(Drawings(pack, 128, 1, len(styles))) == len(others) + 1


def test_light_is_of_each_picture_alone() -> None:
    """The same numbers give the same light, other pictures of the batch have no part in it, and colours stay near."""
    faces = torch.rand(4, 3, 16, 16) * 2 - 1
    whole, half = relit(faces, Random(0, 0, Rows(0, 4, 4))), relit(faces[2:], Random(0, 0, Rows(2, 4, 4)))
    assert torch.equal(whole[2:], half) and not torch.allclose(whole, faces, atol=0.01)
    assert whole.abs().max() < 4


@pytest.mark.parametrize(
    ("settings", "error", "complaint"),
    [
        ({"part": "paint"}, DataError, "paint takes a pack with style; it has no style"),
        ({"apart": 6}, DataError, "apart=6 leaves none of its 6 pairs to learn from"),
        ({"side": 64}, RecipeError, "side: must be 128 or 256, not 64"),
        ({"paint_width": 5}, RecipeError, "paint_width: must be even, not 5"),
        ({"direction": "cartoon", "part": "paint"}, RecipeError, "cartoons are painted by the recipe cartoonist"),
        ({"texture": 1.0}, RecipeError, "texture: takes drawings; --set drawings=PACK"),
        ({"texture": 1.0, "drawings": "some"}, RecipeError, "texture: is what part=paint learns"),
        ({"diversity": 1.0}, RecipeError, "diversity: is of part=paint and direction=caricature"),
        ({"direction": "photo", "hinge": 1.0}, RecipeError, "a face encoder stands in the loss of part=paint alone"),
        ({"attributes": 1.0}, RecipeError, "attributes: are what part=paint keeps"),
        ({"prototypes": True}, RecipeError, "prototypes: are what hinge, cosine, contrast and distillation ask for"),
        ({"reader": "models/style/1"}, RecipeError, "reader: is of texture, whose drawings it reads"),
        (
            {"part": "paint", "direction": "photo", "texture": 1.0, "drawings": "some", "reader": "models/style/1"},
            RecipeError,
            "reader: is of direction=caricature",
        ),
        ({"clusters": 2}, RecipeError, "matched and clusters: are of styles that a reader reads"),
        ({"temperature": 0.0}, RecipeError, "temperature and softness: must be more than 0"),
        ({"joined": "nowhere"}, RunError, "nowhere is no run"),
    ],
)
def test_what_is_wrong_is_told_before_a_run_begins(
    settings: dict[str, object], error: type[Exception], complaint: str, shapes: Path, tmp_path: Path
) -> None:
    """With the name of the setting or of the file; there is no folder of a run yet."""
    with pytest.raises(error, match=complaint):
        trained(shapes, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_pairs_of_another_form_are_named(shapes: Path, others: Path, tmp_path: Path) -> None:
    """A style of another length, and a picture that is no pair."""
    path, image = tmp_path / "some.pack", np.zeros((256, 256, 3), np.uint8)
    write(path, [Example(image, {}, {"style": np.zeros(3, np.float32)})] * 4)
    with pytest.raises(DataError, match=f"some.pack: style has 3 numbers a row, not {STYLE_SIZE}"):
        toy(part="paint").fitted(path, {})
    write(path, [Example(image, {}, {"style": np.zeros(STYLE_SIZE, np.float32)})] * 4)
    with pytest.raises(DataError, match=r"some.pack: picture \d is not 256 pixels high and 512 wide"):
        toy(part="paint").stream(path)[0]


# Export


@pytest.fixture(name="graph", scope="module")
def graph_(warp: Path, paint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported translator of both runs, which was held against the networks."""
    to = tmp_path_factory.mktemp("models") / "drawn" / "1"
    assert "deviations" in publish_run(warp, to, settings={"joined": str(paint)})
    return to / GRAPH


@pytest.fixture(name="translate", scope="module")
def translate_(graph: Path) -> "Translated":
    return Translated(graph.read_bytes())


class Translated:
    """A published translator and its contract."""

    def __init__(self, graph: bytes) -> None:
        self.session = open_session(graph)
        self.contract = Contract.from_metadata(self.session.get_modelmeta().custom_metadata_map, "")

    def __call__(self, photo: NDArray[np.uint8], **request: object) -> NDArray[np.int64]:
        """The drawing, as numbers that can be subtracted."""
        made = self.session.run(None, self.contract.feed([photo], [request]))[0]
        return self.contract.images(made)[0].astype(int)


@pytest.fixture(name="photo", scope="module")
def photo_() -> NDArray[np.uint8]:
    """Noise, where every displacement is seen."""
    return np.random.default_rng(5).integers(0, 256, (128, 128, 3), dtype=np.uint8)


def test_every_control_acts(translate: Translated, photo: NDArray[np.uint8]) -> None:
    """Each alone changes the drawing; none but the default is asked for without it."""
    drawn = translate(photo)
    assert [control.name for control in translate.contract.controls] == [
        "strength",
        "style",
        "code",
        "parts",
        "texture",
    ]
    others = {
        "strength": 2.5,
        "style": "pencil",
        "code": [2.0] * CODE_SIZE,
        "parts": [2.0] * len(PARTS),
        "texture": 0.3,
    }
    for name, value in others.items():
        assert (translate(photo, **{name: value}) != drawn).mean() > 0.1, name
    same = {"strength": 1.0, "code": [0.0] * CODE_SIZE, "parts": [1.0] * len(PARTS), "texture": 1.0}
    assert np.array_equal(translate(photo, **same), drawn)


def test_without_texture_it_is_the_photo_that_is_warped(translate: Translated, photo: NDArray[np.uint8]) -> None:
    """At strength 0 the photo itself; a part that has no share is as it was at any strength."""
    assert np.array_equal(translate(photo, texture=0.0, strength=0.0), photo)
    warped = translate(photo, texture=0.0, strength=3.0)
    spared = translate(photo, texture=0.0, strength=3.0, parts=[0.0, 1.0, 1.0, 1.0])
    beside = -F.max_pool2d(-part_masks()[:, :1], 3, 1, 1)[0, 0]  # the least of a cell and those around it
    inside = (beside == 1).numpy().repeat(4, 0).repeat(4, 1)
    assert inside.any() and np.array_equal(spared[inside], photo[inside])
    assert (warped[inside] != photo[inside]).mean() > 0.1 and (spared[~inside] != photo[~inside]).mean() > 0.1


def test_the_terms_of_all_that_was_learnt_from_go_with_it(translate: Translated) -> None:
    """Pairs of both parts, the discriminator's drawings, the face encoder; and weights are stored in half precision."""
    sources = ("portraits (CC BY)", "studio (CC0)", "sketches (CC0)")
    assert set(sources) <= set(translate.contract.data) and any(
        "sphere.pth" in each for each in translate.contract.data
    )
    assert translate.contract.notice.startswith("Research only: trained on sphere.pth")
    assert translate.contract.provenance["teachers"].startswith("sphere.pth, sha256 ")
    assert translate.contract.provenance["precision"] == "float16"


def test_a_published_translator_is_gone_on_with(
    graph: Path, translate: "Translated", photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    """Imported and exported it draws the same, and its terms are still those of all that it learnt from.

    It reads no styles, which it never learnt.
    """
    import_run("satnet_r", [graph], tmp_path / "run")
    facts = Run(tmp_path / "run").facts()["settings"]
    assert facts["learnt"] == ["warp", "painter"] and facts["sources"] == list(translate.contract.data)
    state, _ = Run(tmp_path / "run").state("satnet_r")
    networks = configured(Recipe, {**facts, "side": 128}).networks()
    own = checkpoint.unpacked("averages", state)
    for name in ("warp", "painter"):
        networks[name].load_state_dict(own[name])
    with torch.no_grad():
        request = {name: torch.from_numpy(value)[None] for name, value in translate.contract.values({}).items()}
        warp = published(networks["warp"].head, "caricature", 128)
        drawn = Translator(warp, networks["painter"])(torch.from_numpy(photo)[None], **request)
    assert np.abs(drawn[0].numpy().astype(int) - translate(photo)).max() <= 1
    with pytest.raises(RecipeError, match="the exemplar was never trained"):
        publish_run(tmp_path / "run", tmp_path / "style" / "1", settings={"exports": "exemplar"})


def test_what_reads_styles_is_exported_too(paint: Path, translate: Translated, tmp_path: Path) -> None:
    """Of the painter's run: its own weights rebuild it, and the translator takes what it reads."""
    publish_run(paint, tmp_path / "style" / "1", settings={"exports": "exemplar"})
    path = tmp_path / "style" / "1" / GRAPH
    session = open_session(path.read_bytes())
    contract = Contract.from_metadata(session.get_modelmeta().custom_metadata_map, "")
    assert (contract.role, contract.output_shape, contract.controls) == ("style", (STYLE_SIZE,), ())
    assert "studio (CC0)" in contract.data and contract.provenance["recipe"] == "training/recipes/satnet_r.py"
    assert translate.contract.takes_style_of(contract)
    compare(from_state(load_state(path)), path.read_bytes(), contract, draw_feed(contract, seed=3))


def test_an_older_translator_draws_as_it_did() -> None:
    """Without a code, with fewer numbers in its style and fewer strokes on its paper: what is new does nothing yet."""
    torch.manual_seed(0)
    recipe = toy(side=256)
    networks = recipe.networks()
    state = {f"warp_head.{key.removeprefix('head.')}": value for key, value in networks["warp"].state_dict().items()}
    state |= {f"painter.{key}": value.clone() for key, value in networks["painter"].state_dict().items()}
    for key in [key for key in state if key.endswith(("film.weight", "num_batches_tracked"))]:
        del state[key]
    for key in ("code.0.weight", "fine.0.convolution.weight", "colour.weight"):
        state[f"painter.{key}"] = state[f"painter.{key}"][:, :-1]
    settings, states = Recipe.imported(state, "old.onnx")
    assert (settings["warp_width"], settings["paint_width"]) == (4, 4)
    checkpoint.restore({name: networks[name] for name in states}, states, "old.onnx")
    style = torch.zeros(1, STYLE_SIZE)
    other = style.clone()
    other[0, -1] = 3
    photo = torch.rand(1, 3, 256, 256) * 2 - 1
    with torch.no_grad():
        assert torch.equal(networks["painter"](photo, style), networks["painter"](photo, other))
    with pytest.raises(CheckpointError, match=r"other.onnx is no translator of this kind: it has no 'head.stem"):
        Recipe.imported({"fc5.weight": torch.zeros(1)}, "other.onnx")


def test_half_of_a_translator_is_not_exported(warp: Path, tmp_path: Path) -> None:
    """A warp without a painter, or with another warp."""
    with pytest.raises(RecipeError, match="the painter was never trained; --set joined=RUN says which run"):
        publish_run(warp, tmp_path / "drawn" / "1")
    with pytest.raises(RecipeError, match="is a run of the warp too"):
        publish_run(warp, tmp_path / "drawn" / "1", settings={"joined": str(warp)})


@pytest.fixture(name="restorer", scope="module")
def restorer_(shapes: Path, drawings: Path, warp: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported one, of runs that began with networks of the other direction."""
    folder = tmp_path_factory.mktemp("photo")
    moves = trained(shapes, folder / "warp", warp, direction="photo")
    paints = trained(drawings, folder / "paint", warp, direction="photo", part="paint")
    with pytest.raises(RecipeError, match="the warp was never trained"):
        publish_run(paints, folder / "photo" / "1")
    with pytest.raises(RecipeError, match="is a run of direction=caricature"):
        publish_run(paints, folder / "photo" / "1", settings={"joined": str(warp)})
    publish_run(moves, folder / "photo" / "1", settings={"joined": str(paints)})
    return folder / "photo" / "1" / GRAPH


def test_weights_of_a_byte_are_held_against_those_learnt(
    drawings: Path, shapes: Path, paint: Path, warp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By pictures set apart of a pack of drawings; what they change is in the contract, or refused."""
    settings = {"joined": str(warp)}
    with pytest.raises(DataError, match="paint takes a pack with style"):
        publish_run(paint, tmp_path / "drawn" / "1", shapes, "int8", settings)
    publish_run(paint, tmp_path / "drawn" / "1", drawings, "int8", settings)
    contract = Translated((tmp_path / "drawn" / "1" / GRAPH).read_bytes()).contract
    assert 0 < contract.parity["apart"] < 1 and contract.provenance["precision"] == "int8"
    monkeypatch.setitem(ALIKE, "translator", 0.0)
    with pytest.raises(RunError, match=r"int8: outputs are .* off on average"):
        publish_run(paint, tmp_path / "drawn" / "2", drawings, "int8", settings)


def test_a_restorer_asks_for_no_style(restorer: Path, photo: NDArray[np.uint8]) -> None:
    """How far it undoes and of which parts is all; both act, and what it is stands in its contract."""
    restore = Translated(restorer.read_bytes())
    assert [control.name for control in restore.contract.controls] == ["strength", "parts"]
    assert not restore.contract.styles and restore.contract.description.startswith("Drawing to photo")
    made = restore(photo)
    assert np.array_equal(restore(photo, strength=1.0, parts=[1.0] * len(PARTS)), made)
    assert (restore(photo, strength=0.0) != made).any() and (restore(photo, parts=[0.0] * len(PARTS)) != made).any()


def test_a_published_restorer_is_gone_on_with(restorer: Path, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    """Imported it is of its direction and makes the same photo."""
    import_run("satnet_r", [restorer], tmp_path / "run")
    run, restore = Run(tmp_path / "run"), Translated(restorer.read_bytes())
    assert run.facts()["settings"]["direction"] == "photo"
    own = checkpoint.unpacked("averages", run.state("satnet_r")[0])
    networks = configured(Recipe, {**run.facts()["settings"], "side": 128}).networks()
    for name in ("warp", "painter", "exemplar"):
        networks[name].load_state_dict(own[name])
    with torch.no_grad():
        request = {name: torch.from_numpy(value)[None] for name, value in restore.contract.values({}).items()}
        warp = published(networks["warp"].head, "photo", 128)
        network = Restorer(warp, networks["painter"], networks["exemplar"])
        made = network(torch.from_numpy(photo)[None], **request)
    assert np.abs(made[0].numpy().astype(int) - restore(photo)).max() <= 1


def test_half_a_frame_has_the_same_points() -> None:
    """Pixel centres are at integers, so that points are no plain halves."""
    half, whole = (Recipe(Config(side=side)).contract({}).template for side in (128, 256))
    assert half is not None and whole is not None and (half.width, half.height) == (128, 128)
    assert np.allclose((np.array(half.points) + 0.5) * 2, np.array(whole.points) + 0.5)
