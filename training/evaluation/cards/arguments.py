"""What the commands take."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Argument(help="models/NAME/VERSION")]
Packed = Annotated[Path, typer.Argument(help="folder that training.data.portraits wrote")]
Data = Annotated[Path, typer.Option(envvar="LIKENESS_DATA", help="the data folder")]
