"""The command `likeness`."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Annotated

import typer

from service import __version__
from service.access import Scope, new_key
from service.logs import configure_logging
from service.server import serve as serve_alone
from service.settings import Settings
from service.supervisor import supervise

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    from service.faces import FaceFinder

COLOURS = {"pass": typer.colors.GREEN, "fail": typer.colors.RED, "note": typer.colors.YELLOW}

app = typer.Typer(name="likeness", help="Caricatures that stay the same person.", no_args_is_help=True)
keys = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")
for command in entry_points(group="likeness.commands"):
    app.add_typer(command.load())


@app.callback()
def likeness(context: typer.Context) -> None:
    """Give the commands of other packages what finds faces as the service does, which they may not import."""
    context.obj = five_points


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on; 0 takes a free one")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="processes; one is enough, and more take no jobs")] = 1,
) -> None:
    """Start the service; settings are environment variables LIKENESS_* (see service/settings.py)."""
    settings = Settings()
    configure_logging(settings.log_level)
    if workers > 1:
        raise typer.Exit(supervise(settings, host, port, workers))
    raise typer.Exit(serve_alone(settings, host, port))


@keys.command("new")
def new(
    id: Annotated[str, typer.Option(help="name of the client, for logs and for its turn in the queue")],
    scope: Annotated[list[Scope], typer.Option(help="what the key is for; may be repeated")],
) -> None:
    """Make a key: it is shown once, on stderr; its entry for the file of keys (LIKENESS_API_KEYS) is on stdout."""
    try:
        key, entry = new_key(id, scope)
    except ValueError:
        raise typer.BadParameter("an id is 1 to 64 of A-Z a-z 0-9 . _ -") from None
    typer.echo(key, err=True)
    typer.echo(entry)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Test this installation: versions, providers, devices, every model. Exit status 1 if something is not sound."""
    # Here, because a supervisor of workers needs nothing of it: codecs, detector and runtime are 109 MB.
    from service.doctor import examine, report, sound

    configure_logging("critical")  # what is refused stands in the findings
    findings = []
    for finding in examine(Settings()):
        findings.append(finding)
        if not as_json:
            mark = typer.style(finding.status.upper(), fg=COLOURS[finding.status], bold=True)
            typer.echo(f"{mark}  {finding.subject}: {finding.detail}")
    if as_json:
        typer.echo(json.dumps(report(findings)))
    raise typer.Exit(0 if sound(findings) else 1)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def five_points(content: bytes) -> NDArray[float64]:
    """The five points [5, 2] of the largest face of an encoded picture, upright; ValueError says why there are none."""
    from service.errors import LikenessError
    from service.photo import Photo

    try:
        return _finder().largest(Photo(content, None, Settings().max_pixels)).points
    except LikenessError as error:
        raise ValueError(error.detail) from error


@cache
def _finder() -> FaceFinder:
    from export.repository import Repository
    from service.faces import FaceFinder

    settings = Settings()
    return FaceFinder(Repository(settings.models).resolve(settings.landmarks).path("model.dat"))


if __name__ == "__main__":
    app()
