"""`likeness eval`: a published model on pictures, or an encoder by the protocols of face recognition."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from training.console import told
from training.data.cli import Frame

if TYPE_CHECKING:
    from training.evaluation.protocol import Judgement

MODEL = "model"


class ModelFirst(TyperGroup):
    """A group whose command `model` is meant where none is named: `likeness eval models/NAME/VERSION ...`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """The rest of the words, a command first."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [MODEL, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=ModelFirst, help="Measure a published model.", no_args_is_help=True)


class Protocol(StrEnum):
    """Whose pairs a file has."""

    LFW = "lfw"
    RESTRICTED = "webcaricature-restricted"
    UNRESTRICTED = "webcaricature-unrestricted"


Model = Annotated[Path, typer.Argument(help="models/NAME/VERSION of an encoder")]
Images = Annotated[
    Path, typer.Option(help="the pictures: a folder for each person, WebCaricature's, or a table (CSV)", exists=True)
]
TrainedOn = Annotated[
    list[Path],
    typer.Option(
        "--trained-on",
        help="what the encoder learnt from: a pack, or a list (.txt) of its people or a protocol's training view; "
        "whoever is in it cannot be judged; may be repeated",
        exists=True,
    ),
]


@app.command()
def verification(
    model: Model,
    pairs: Annotated[Path, typer.Argument(help="pairs.txt, RestrictedView2.txt, ...", exists=True)],
    protocol: Annotated[Protocol, typer.Option(help="whose pairs these are")],
    images: Images,
    trained_on: TrainedOn,
) -> None:
    """Tell fold by fold whether two pictures show one person: accuracy, TAR at FAR 1 % and 0.1 %, AUC."""
    with told():
        from training.data.sources import restricted_view, unrestricted_view
        from training.evaluation.protocol import judged, known
        from training.metrics import protocols

        match protocol:
            case Protocol.LFW:
                folds = protocols.lfw(pairs)
            case Protocol.RESTRICTED:
                folds = protocols.restricted(restricted_view(pairs))
            case Protocol.UNRESTRICTED:
                folds = protocols.unrestricted(unrestricted_view(pairs))
        _tell(judged(protocols.verification, model, folds, images, known(trained_on)))


@app.command()
def identification(
    model: Model,
    probes: Annotated[
        list[Path],
        typer.Argument(help="WebCaricature's FR_Probe_*.txt, one a fold, FR_Gallery_*.txt beside each", exists=True),
    ],
    images: Images,
    trained_on: TrainedOn,
) -> None:
    """Look for whoever a probe shows in a gallery, fold by fold: rank-1 and rank-10."""
    with told():
        from training.evaluation.protocol import judged, known
        from training.metrics import protocols

        folds = [protocols.search(each, protocols.gallery_of(each)) for each in probes]
        _tell(judged(protocols.identification, model, folds, images, known(trained_on)))


@app.command()
def statistics(
    pictures: Annotated[Path, typer.Argument(help="a folder, a table (CSV) or a pack", exists=True)],
    into: Annotated[Path, typer.Option(help="the file, .npz")],
    features: Annotated[str, typer.Option(help="dlib, an encoder's folder or Inception-v3's weights")],
    domain: Annotated[str, typer.Option(help="of a pack that has it, only this")] = "drawing",
    template: Annotated[
        Frame | None, typer.Option(help="the frame of the model that will be judged; by default pictures as they are")
    ] = None,
) -> None:
    """Write the mean and covariance of pictures' features, for --against: the pictures need not be there for FID."""
    with told():
        from training.data.crops import TEMPLATES
        from training.evaluation.comparison import features_of
        from training.evaluation.evaluate import network
        from training.evaluation.gallery import Gallery
        from training.metrics.distances import Moments
        from training.metrics.statistics import write

        frame = None if template is None else TEMPLATES[template]
        gallery = Gallery(pictures, domain, 0)
        write(into, Moments.of(features_of(gallery, network(features), frame)))
        typer.echo(f"{into}: of {len(gallery):,} pictures")


def _tell(found: Judgement) -> None:
    """A table to the terminal, a line of JSON to standard output."""
    from rich.console import Console

    from training.evaluation.protocol import line, table

    Console(stderr=True).print(table(found))
    typer.echo(line(found))
