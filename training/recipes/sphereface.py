"""A small SphereFace: the ten-layer sibling of sphere20a at half its width, taught by dlib's recogniser.

    LIKENESS_DATA=... python -m training.recipes.sphereface train RUN       (resumes by the same command)
    LIKENESS_DATA=... python -m training.recipes.sphereface publish RUN     (calibrates thresholds, exports, bundles)
    LIKENESS_DATA=... python -m training.recipes.sphereface evaluate MODEL.onnx    (beside dlib on the same pairs)
    LIKENESS_DATA=... python -m training.recipes.sphereface drawings MODEL.onnx TRANSLATOR.onnx

Data: faces-id, landmarks68 (439 people with names), celeba256-attr, photo128, congress256, ukparl120x160, less all that
is set aside. For every photo the network sees views of it, plain and as if drawn, and learns

    A-Softmax on the names, where there are names                 (Liu et al. 2017; lambda annealed 1500 -> 5)
    + the direction of dlib's centred descriptor, by a linear map (Hinton et al. 2015)
    + dlib's cosines between all photos of the batch              (Park et al. 2019)

An hour on one core of a server CPU in bfloat16; figures and failures are in the model card.
"""

from __future__ import annotations

import copy
import json
import math
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from torch import Tensor, nn

from export.alignment import SPHEREFACE, cut, similarity
from export.contract import Contract
from export.parity import ROWS, open_session
from export.repository import publish
from export.to_onnx import export_model
from training.data.disguise import disguise
from training.data.recognition import Faces, Sight, gather, photos, see, trainable
from training.losses.distillation import descriptor_loss, relational_loss
from training.losses.margin import AngleLinear, angular_softmax, annealing
from training.metrics.encoders import against_drawings, calibrate, realised, table
from training.networks.sphereface import EMBEDDING, HEIGHT, WIDTH, Encoder, SphereFace, pixels_to_faces

RECIPE = "training/recipes/sphereface.py"
COMMAND = "python -m training.recipes.sphereface"
NOTICE = "Research only: trained on CelebA, CelebAMask-HQ and YouTube Faces, non-commercial research"
TRAINED_ON = (
    "faces-id and celeba256-attr (CelebA, non-commercial research)",
    "photo128 (CelebAMask-HQ, non-commercial research)",
    "landmarks68 (YouTube Faces, non-commercial research)",
    "congress256 (US government works, mostly)",
    "ukparl120x160 (CC BY 3.0)",
)


@dataclass(frozen=True)
class Config:
    """Everything that decides what is learnt."""

    depth: int = 10
    width: int = 32
    batch: int = 128
    twins: int = 32  # rows of a batch that are second views of its first photos
    images: int = 300_000  # seen in all, views counted
    rate: float = 1.5e-3  # AdamW, risen over `warm_up` images, then a cosine to 0
    warm_up: int = 8_000
    decay: float = 0.05
    drawn: float = 0.45  # share of views that look drawn
    ema: float = 0.997  # per step
    angular: float = 0.15  # weights of the losses, in the order of the docstring
    descriptor: float = 1.0
    relational: float = 4.0
    seed: int = 0

    @property
    def steps(self) -> int:
        return self.images // self.batch


class Student(nn.Module):
    """The network and the heads that only training needs."""

    def __init__(self, config: Config, classes: int, descriptor: int) -> None:
        super().__init__()
        self.network = SphereFace(config.depth, config.width)
        self.fc6 = AngleLinear(self.network.fc5.out_features, classes)
        self.head = nn.Linear(self.network.fc5.out_features, descriptor)


class Lessons:
    """What there is to learn: crops, centred descriptors, and labels (-1 where a photo has no name)."""

    def __init__(self, faces: Faces, config: Config) -> None:
        self.faces = faces
        self.config = config
        self.descriptors = torch.from_numpy(faces.descriptors - faces.descriptors.mean(0))
        self.names = sorted(set(faces.persons) - {""})
        index = {name: label for label, name in enumerate(self.names)}
        self.labels = torch.tensor([index.get(name, -1) for name in faces.persons])

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Views uint8 [B, 112, 96, 3] and the rows they show, a function of the step alone: runs resume exactly."""
        rng = np.random.default_rng((self.config.seed, step))
        rows = self._rows(step, self.config.batch - self.config.twins)
        rows = np.concatenate([rows, rows[: self.config.twins]])
        views = np.stack([disguise(self.faces.crops[row], WIDTH, HEIGHT, self.config.drawn, rng) for row in rows])
        return torch.from_numpy(views), torch.from_numpy(rows)

    def _rows(self, step: int, count: int) -> np.ndarray:
        """The step's share of an endless series of shuffled epochs."""
        total = len(self.faces)
        places = np.arange(step * count, (step + 1) * count)
        epochs = {
            epoch: np.random.default_rng((self.config.seed, epoch, total)).permutation(total)
            for epoch in set(places // total)
        }
        return np.array([epochs[place // total][place % total] for place in places])


def losses(
    student: Student, views: Tensor, labels: Tensor, descriptors: Tensor, config: Config, step: int
) -> dict[str, Tensor]:
    """The named parts; `total` is what is minimised."""
    with torch.autocast("cpu", torch.bfloat16):
        features = student.network(pixels_to_faces(views).contiguous(memory_format=torch.channels_last))
    features = features.float()
    named = labels >= 0
    cosine, length = student.fc6(features[named])
    parts = {
        "angular": angular_softmax(cosine, length, labels[named], annealing(step)),
        "descriptor": descriptor_loss(student.head(features), descriptors),
        "relational": relational_loss(features, descriptors),
    }
    total = sum(getattr(config, name) * part for name, part in parts.items())
    return {"total": total, **parts}


def learning_rate(images: int, config: Config) -> float:
    """Of the step that begins after so many images."""
    if images < config.warm_up:
        return config.rate * images / config.warm_up
    return config.rate * 0.5 * (1 + math.cos(math.pi * (images - config.warm_up) / (config.images - config.warm_up)))


class Run:
    """A run's folder: the packed faces, the newest checkpoint, a log of losses, one JSON object a line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = folder / "checkpoint.pt"
        self.log = folder / "log.jsonl"

    def faces(self) -> Faces:
        """All faces, gathered from LIKENESS_DATA on the first call."""
        path = self.folder / "faces.npz"
        if not path.exists():
            gather(see(photos(Path(os.environ["LIKENESS_DATA"])))).save(path)
        return Faces.load(path)

    def save(self, **state: object) -> None:
        scratch = self.checkpoint.with_suffix(".new")
        torch.save(state, scratch)
        scratch.replace(self.checkpoint)

    def state(self) -> dict[str, Any]:
        """The newest checkpoint."""
        return torch.load(self.checkpoint, weights_only=True)

    def encoder(self) -> Encoder:
        """The averaged network of the newest checkpoint."""
        state = self.state()
        network = SphereFace(state["depth"], state["width"])
        network.load_state_dict(state["average"])
        return Encoder(network).eval()


def train(run: Run, config: Config, faces: Faces, save_every: int = 250) -> SphereFace:
    """Train to the end, from the checkpoint where there is one; returns the averaged network."""
    lessons = Lessons(faces, config)
    torch.manual_seed(config.seed)
    student = Student(config, len(lessons.names), faces.descriptors.shape[1]).to(memory_format=torch.channels_last)
    average = copy.deepcopy(student.network)
    optimiser = torch.optim.AdamW(student.parameters(), lr=config.rate, weight_decay=config.decay)
    first = 0
    if run.checkpoint.exists():
        state = run.state()
        student.load_state_dict(state["student"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
    started = time.monotonic()
    for step in range(first, config.steps):
        views, rows = lessons.batch(step)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step * config.batch, config)
        parts = losses(student, views, lessons.labels[rows], lessons.descriptors[rows], config, step)
        optimiser.zero_grad()
        parts["total"].backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimiser.step()
        with torch.no_grad():
            decay = min(config.ema, (step + 1) / (step + 10))
            for mean, current in zip(average.parameters(), student.network.parameters(), strict=True):
                mean.lerp_(current, 1 - decay)
        if (step + 1) % 20 == 0:
            record = {name: round(part.item(), 4) for name, part in parts.items()}
            pace = (step + 1 - first) * config.batch / (time.monotonic() - started)
            with run.log.open("a") as log:
                log.write(json.dumps({"step": step + 1, **record, "images_per_second": round(pace, 1)}) + "\n")
        if (step + 1) % save_every == 0 or step + 1 == config.steps:
            run.save(
                student=student.state_dict(),
                average=average.state_dict(),
                optimiser=optimiser.state_dict(),
                step=step + 1,
                depth=config.depth,
                width=config.width,
            )
    return average


app = typer.Typer(help="Train, judge and publish the face encoder.", add_completion=False)
Folder = Annotated[Path, typer.Argument(help="the run's folder")]
Model = Annotated[Path, typer.Argument(help="an exported model")]


@app.callback()
def one_thread() -> None:
    """The machine is shared: one thread, also for OpenCV."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@app.command("train")
def train_command(
    folder: Folder, images: int = Config.images, depth: int = Config.depth, width: int = Config.width
) -> None:
    """Train, or go on training, in the folder."""
    run = Run(folder)
    faces = run.faces()
    train(run, Config(depth=depth, width=width, images=images), faces[trainable(faces)])


@app.command("publish")
def publish_command(folder: Folder, models: Path = Path("models"), version: int = 1) -> None:
    """Export the averaged network, thresholds calibrated on people set aside, into the model repository."""
    run = Run(folder)
    encoder, faces = run.encoder(), run.faces()
    faces = faces[faces.set_aside]

    def embed(frames: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return torch.cat([encoder(part) for part in torch.from_numpy(frames.copy()).split(256)]).numpy()

    step = str(run.state()["step"])
    promised = contract(calibrate(embed, faces), {"recipe": RECIPE, "command": f"{COMMAND} train RUN", "steps": step})
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        written = export_model(encoder, promised, path, {"image": faces.frames()[:ROWS]}, float16=True)
        publish(models, "sphereface", version, {"model.onnx": path})
    typer.echo(f"sphereface/{version}: deviations {dict(written.parity)}, thresholds {dict(written.thresholds)}")


@app.command("evaluate")
def evaluate_command(model: Model) -> None:
    """The figures of the model card: own and dlib's recogniser on people who were in no training."""
    encoder, faces = Graph(model), set_aside_faces()
    typer.echo(table(encoder.embed, faces))
    typer.echo(realised(encoder.embed, faces, encoder.contract.thresholds))


@app.command("drawings")
def drawings_command(model: Model, translator: Model, strength: float = 1.0) -> None:
    """The same for photos against a translator's drawings of the people of congress256 who are set aside."""
    encoder, draw = Graph(model), Graph(translator)
    root = Path(os.environ["LIKENESS_DATA"])
    rows = [photo for photo in photos(root) if photo.set_aside and "congress256" in photo.path.parts]
    drawn = (draw.drawing(sight, strength) for sight in see(rows))
    typer.echo(against_drawings(encoder.embed, gather(see(rows)), gather(drawn)))


class Graph:
    """An exported model as the service runs it."""

    def __init__(self, path: Path) -> None:
        self.session = open_session(path.read_bytes())
        self.contract = Contract.from_metadata(self.session.get_modelmeta().custom_metadata_map, str(path))

    def embed(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [N, 112, 96, 3] -> float32 [N, 512]."""
        return np.concatenate([self.session.run(None, self.contract.feed([frame], [{}]))[0] for frame in frames])

    def drawing(self, sight: Sight, strength: float) -> Sight:
        """The drawing of a sight in the translator's own frame, where the template says what stands where."""
        template = self.contract.template
        crop = cut(sight.image, similarity(sight.points, template.points), template)
        (drawn,) = self.session.run(None, self.contract.feed([crop], [{"strength": strength}]))
        return Sight(drawn[0], np.array(template.points), sight.person, sight.set_aside)


def set_aside_faces() -> Faces:
    """The faces of everyone set aside, from LIKENESS_DATA; the teacher takes three minutes for them."""
    return gather(see(photo for photo in photos(Path(os.environ["LIKENESS_DATA"])) if photo.set_aside))


def contract(thresholds: dict[str, float], provenance: dict[str, str]) -> Contract:
    """What the exported graph promises."""
    return Contract(
        role="encoder",
        template=SPHEREFACE,
        controls=(),
        styles={},
        output="embedding",
        output_shape=(EMBEDDING,),
        thresholds=thresholds,
        notice=NOTICE,
        licence="Research only, as the training data",
        data=TRAINED_ON,
        description="Who a face is, as 512 numbers of unit length; cosines compare photos and drawings",
        provenance=provenance,
    )


if __name__ == "__main__":
    app()
