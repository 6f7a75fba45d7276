"""Photo to caricature: a network learns in one pass what the procedural caricaturist does with 68 landmarks.

Paper: none; the parts are AutoToon's explicit warp (Gong et al. 2020), scaling and squaring (Arsigny et al. 2006), a
style-modulated U-Net. Data: train-clean (public-domain and CC BY portraits) and geometry (AutoToon artists), nothing
else. On one core of a server CPU each: portraits 1 minute, shapes 6, drawings 12, warp 25, paint 30. Figures, on people
set aside: detected 1, id_kept 1, exaggeration 1.68, repaint 0.079, flatness 0.17 (models/caricature/2/card.md).

    python -m training.data.portraits $LIKENESS_DATA runs/packed
    OMP_NUM_THREADS=1 python -m training.data.pairs shapes runs/packed runs/shapes --count 12000
    OMP_NUM_THREADS=1 python -m training.data.pairs drawings runs/packed runs/drawings --count 5000
    python -m training.recipes.caricature warp runs/shapes runs/caricature
    python -m training.recipes.caricature paint runs/drawings runs/caricature
    python -m training.recipes.caricature export runs/caricature runs/packed models
    python -m training.recipes.caricature evaluate runs/packed models

Every command resumes where it stopped.
"""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor
from torch.nn import functional as F

from export.alignment import SQUARE_256
from export.contract import Contract, Control
from export.parity import open_session
from export.repository import Repository, publish
from export.to_onnx import export_model
from export.weights import load_state
from training.data.caricaturist import FaceSpace, artists_slope
from training.data.painter import STYLE_SIZE, STYLES
from training.data.painter import paint as painted
from training.data.pairs import SIDE, exaggerated
from training.data.portraits import MIRROR, Portraits
from training.losses.reconstruction import edges, fine_lines, landmark_error
from training.metrics.judge import Judge, measure
from training.metrics.judge import sheet as contact_sheet
from training.metrics.warp import explained, folded
from training.networks.caricature import Caricaturist, from_state
from training.networks.pixels import picture
from training.networks.satnet_r import WarpHead, eased
from training.stage import Batch, Stage, train

WARP = Stage(name="warp", images=132_000, batch=32, rate=1e-3, half_life=10_000, every=12_000)
PAINT = Stage(name="paint", images=33_000, batch=3, rate=1.2e-3, half_life=1_500, every=3_000)
SHAPE = ("image", "landmarks", "displacement", "field")
DRAWING = ("photo", "style", "drawing")
SET_APART = 400  # the last pairs are for the reports alone

app = typer.Typer(help=__doc__, no_args_is_help=True)
Folder = Annotated[Path, typer.Argument()]


class Pairs:
    """Arrays on disk, visited in a random order that depends on the position alone."""

    def __init__(self, folder: Path, names: tuple[str, ...], apart: int = SET_APART) -> None:
        self.arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
        self.count = len(self.arrays[names[0]]) - apart

    def __call__(self, seen: int, size: int) -> dict[str, Tensor]:
        epoch, start = divmod(seen, self.count - self.count % size)
        order = np.random.default_rng(epoch).permutation(self.count)
        return self.rows(np.sort(order[start : start + size]))

    def rows(self, index: np.ndarray) -> dict[str, Tensor]:
        return {name: torch.from_numpy(array[index]) for name, array in self.arrays.items()}

    def apart(self) -> dict[str, Tensor]:
        return self.rows(np.arange(self.count, len(self.arrays[next(iter(self.arrays))])))


def half_frames(pixels: Tensor) -> Tensor:
    """Pixel offsets in units of half the frame."""
    return pixels.float() * (2 / SIDE)


def points(pixels: Tensor) -> Tensor:
    """Pixel positions in -1..1 from edge to edge of the frame."""
    return (pixels.float() + 0.5) * (2 / SIDE) - 1


def mirrored(batch: Batch) -> dict[str, Tensor]:
    """The same shapes in a mirrored picture."""
    turn = torch.tensor([-1.0, 1.0])
    landmarks = batch["landmarks"][:, MIRROR] * turn + torch.tensor([SIDE - 1.0, 0.0])
    return {
        "image": batch["image"].flip(2),
        "landmarks": landmarks,
        "displacement": batch["displacement"][:, MIRROR] * turn,
        "field": batch["field"].float().flip(2) * turn,
    }


def relit(face: Tensor) -> Tensor:
    """Exposure, contrast, tint, grain and lost colour, one draw per picture [B, 3, H, W]."""
    size = (len(face), 1, 1, 1)
    light = (face + 1) / 2
    light = light.clamp(0, 1) ** torch.exp(0.35 * torch.randn(size))
    light = (light - 0.5) * torch.exp(0.2 * torch.randn(size)) + 0.5 + 0.05 * torch.randn(size)
    light = light * torch.exp(0.08 * torch.randn(len(face), 3, 1, 1))
    grey = light.mean(1, keepdim=True)
    light = torch.where(torch.rand(size) < 0.1, grey, light)
    return (light + 0.02 * torch.rand(size) * torch.randn_like(light)) * 2 - 1


@app.command()
def warp(shapes: Folder, run: Folder) -> None:
    """Teach the warp head where each face deviates from the mean."""
    learn_warp(Pairs(shapes, SHAPE), run, WARP)


@app.command()
def paint(drawings: Folder, run: Folder) -> None:
    """Teach the painter every look."""
    learn_paint(Pairs(drawings, DRAWING), run, PAINT)


def learn_warp(data: Pairs, run: Path, stage: Stage) -> None:
    """Train the warp head on shape pairs and leave its moving average in RUN/warp-head.pt."""
    torch.manual_seed(0)
    model = Caricaturist()
    head = model.warp_head.to(memory_format=torch.channels_last)

    def loss(batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        if torch.rand(()) < 0.5:
            batch = mirrored(batch)
        with torch.autocast("cpu", torch.bfloat16):
            velocity = head(relit(picture(batch["image"])))
        velocity = velocity.float()
        strength = 0.2 + 2.3 * torch.rand(len(velocity))
        time = eased(strength)[:, None, None]
        landmarks = batch["landmarks"].float()
        target = landmarks + time * batch["displacement"]
        moved = landmark_error(model.flow(velocity * time[..., None]), points(landmarks), points(target)) / time[..., 0]
        wanted = half_frames(batch["field"]).permute(0, 3, 1, 2)
        dense = (model.flow(velocity) - wanted).abs().sum(1)
        total = 10 * moved.mean() + 10 * dense.mean()
        return total, {"landmarks": moved.mean() * SIDE / 2, "field": dense.mean() * SIDE / 2}

    def report(average: WarpHead) -> dict[str, float]:
        batch = data.apart()
        landmarks, target = batch["landmarks"].float(), batch["landmarks"] + batch["displacement"]
        with torch.no_grad():
            field = model.flow(average(picture(batch["image"])))
            return {"explained": explained(field, points(landmarks), points(target))}

    average = train(stage, head, loss, data, run, report)
    torch.save(average.state_dict(), run / "warp-head.pt")


def learn_paint(data: Pairs, run: Path, stage: Stage) -> None:
    """Train the painter on drawing pairs and leave its moving average in RUN/painter.pt."""
    torch.manual_seed(0)
    painter = Caricaturist().painter.to(memory_format=torch.channels_last)

    def loss(batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.autocast("cpu", torch.bfloat16):
            drawn = painter(picture(batch["photo"]), batch["style"])
        drawn, wanted = drawn.float(), picture(batch["drawing"])
        colour, outline, line = F.l1_loss(drawn, wanted), edges(drawn, wanted), fine_lines(drawn, wanted)
        return colour + 3 * outline + line, {"colour": colour, "edges": outline, "lines": line}

    average = train(stage, painter, loss, data, run)
    torch.save(average.state_dict(), run / "painter.pt")


def contract(provenance: dict[str, str]) -> Contract:
    """What the exported graph promises."""
    return Contract(
        role="translator",
        template=SQUARE_256,
        controls=(
            Control(
                "strength",
                (),
                0.0,
                3.0,
                1.0,
                "Exaggeration: 0 keeps the face as it is, 1 multiplies what is particular about it by 2.4",
            ),
            Control(
                "style",
                (STYLE_SIZE,),
                -4.0,
                4.0,
                STYLES["gouache"].style(),
                "Ink, flatness, colour, paper, hatching, warmth; each N(0, 1)",
            ),
        ),
        styles={name: look.style() for name, look in STYLES.items()},
        output="image",
        output_shape=(SIDE, SIDE, 3),
        licence="Apache-2.0",
        data=(
            "Portraits of members of the US Congress (US government works)",
            "Portraits of members of the UK Parliament (CC BY 3.0, Chris McAndrew and others / UK Parliament)",
            "AutoToon photos and caricatures (CC BY, CC BY-SA, public domain), geometry only",
        ),
        description="Photo to caricature: exaggerates what is particular about a face and paints it",
        provenance=provenance,
    )


def assembled(run: Path) -> Caricaturist:
    """The caricaturist from its two trained halves."""
    model = Caricaturist()
    model.warp_head.load_state_dict(torch.load(run / "warp-head.pt", weights_only=True))
    model.painter.load_state_dict(torch.load(run / "painter.pt", weights_only=True))
    return model.eval()


@app.command()
def export(run: Folder, packed: Folder, models: Folder, version: int = 1) -> None:
    """Write models/caricature/VERSION/model.onnx; refused unless ONNX Runtime agrees with the network on real faces."""
    stages = {stage.name: f"{stage.images} images in batches of {stage.batch}" for stage in (WARP, PAINT)}
    written(assembled(run), {"recipe": "training/recipes/caricature.py", **stages}, packed, models, version)


@app.command()
def renew(packed: Folder, models: Folder) -> None:
    """Write the next version from the weights of the highest one: another graph that draws the same."""
    entry = Repository(models).resolve("caricature")
    path = entry.path("model.onnx")
    known = Contract.from_metadata(open_session(path.read_bytes()).get_modelmeta().custom_metadata_map, str(path))
    provenance = {**known.provenance, "weights": f"caricature/{entry.version}, sha256 {entry.files[path.name]}"}
    written(from_state(load_state(path)), provenance, packed, models, entry.version + 1)


def written(network: Caricaturist, provenance: dict[str, str], packed: Path, models: Path, version: int) -> None:
    """Publish the network as a version of the caricature."""
    random = np.random.default_rng(0)
    example = {
        "image": Portraits.load(packed / "set-aside.npz").images[:5],
        "strength": np.array([0, 0.5, 1, 2, 3], np.float32),
        "style": random.standard_normal((5, STYLE_SIZE)).astype(np.float32),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        measured = export_model(network, contract(provenance), path, example, stored="float16")
        publish(models, "caricature", version, {"model.onnx": path})
    typer.echo(f"caricature/{version}: deviations {dict(measured.parity)}")


@app.command()
def evaluate(
    packed: Folder,
    models: Folder,
    version: Annotated[int | None, typer.Option(help="unset: the highest")] = None,
    sheet: Annotated[Path | None, typer.Option(help="picture of the first 24 people, photo above drawing")] = None,
) -> None:
    """Judge the exported model on the 100 people set aside: every strength in the default look, then every look.

    The first two lines are about the warp and about the artists; the last is what the procedural caricaturist reaches
    on the same photos with their true landmarks.
    """
    people, space, judge = Portraits.load(packed / "set-aside.npz"), FaceSpace.load(packed), Judge()
    entry = Repository(models).resolve("caricature", version)
    session = open_session((entry.folder / "model.onnx").read_bytes())
    agreed = Contract.from_metadata(session.get_modelmeta().custom_metadata_map, str(entry.folder))
    typer.echo(json.dumps(warp_figures(from_state(load_state(entry.path("model.onnx"))), people, space)))
    with np.load(packed / "artists.npz") as artists:
        slope = artists_slope(space, artists["before"], artists["after"])
    typer.echo(json.dumps({"slope of the artists' moves on the deviation": round(slope, 3)}))
    photos = [judge.face(photo) for photo in people.images]

    def show(label: str, drawings: list[np.ndarray]) -> None:
        pairs = [(photo, judge.face(drawn)) for photo, drawn in zip(photos, drawings, strict=True) if photo is not None]
        typer.echo(json.dumps({"of": label} | {name: round(value, 4) for name, value in measure(pairs).items()}))

    def draw(**request: float | str) -> list[np.ndarray]:
        rows = [agreed.feed([photo], [request]) for photo in people.images]
        return [agreed.images(session.run([agreed.output_name], row)[0])[0] for row in rows]

    for strength in (0.0, 0.5, 1.0, 2.0, 3.0):
        show(f"strength {strength:g}", draw(strength=strength))
    for style in agreed.styles:
        show(f"style {style}", draw(style=style))
    taught = []
    for photo, landmarks in zip(people.images, people.landmarks.astype(float), strict=True):
        warped, moved = exaggerated(photo, landmarks, space, 1.0)
        taught.append(painted(warped, moved, STYLES["gouache"]))
    show("procedural caricaturist, strength 1", taught)
    if sheet:
        contact_sheet(list(zip(people.images[:24], draw(), strict=False))).save(sheet)


@torch.inference_mode()
def warp_figures(network: Caricaturist, people: Portraits, space: FaceSpace) -> dict[str, float]:
    """What share of the wanted landmark displacement the warp reaches, and of its cells that fold, by strength."""
    images = picture(torch.from_numpy(people.images))
    landmarks = torch.from_numpy(people.landmarks).float()
    target = landmarks + torch.from_numpy(
        np.stack([space.displacement(face) for face in people.landmarks.astype(float)])
    )
    fields = {
        strength: network.displacement(images, torch.full((len(images),), strength)) for strength in (1.0, 2.0, 3.0)
    }
    figures = {f"folded at strength {strength:g}": folded(field) for strength, field in fields.items()}
    return {"explained": round(explained(fields[1.0], points(landmarks), points(target)), 4)} | figures


if __name__ == "__main__":
    app()
