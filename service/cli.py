"""The command `likeness`."""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn

from service import __version__
from service.main import create_app
from service.settings import Settings
from service.telemetry import configure_logging

app = typer.Typer(name="likeness", help="Caricatures that stay the same person.", no_args_is_help=True)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on; 0 takes a free one")] = 8000,
) -> None:
    """Start the service; settings are environment variables LIKENESS_* (see service/settings.py)."""
    settings = Settings()
    configure_logging(settings.log_level)
    # Our own middleware logs requests; uvicorn's access log would write addresses and query strings.
    uvicorn.run(create_app(settings), host=host, port=port, log_config=None, access_log=False, server_header=False)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


if __name__ == "__main__":
    app()
