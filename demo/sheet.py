"""Before and after of many photos in one picture, drawn by a real service: what docs/ shows.

python -m demo.sheet OUT.jpg PHOTO... [--option style=ink] [--columns 10]
python -m demo.sheet OUT.jpg PHOTO --rows style=gouache,wash,ink        (one row per value of an option)
python -m demo.sheet OUT.jpg PHOTO... --again model=photo               (a last row, of what becomes of the drawings)
"""

from io import BytesIO
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from demo.run import running_service, timed


def main(
    out: Annotated[Path, typer.Argument(help="where the picture goes")],
    photos: Annotated[list[Path], typer.Argument(help="photos with one face each")],
    option: Annotated[list[str], typer.Option(help="key=value of POST /translate")] = [],  # noqa: B006  typer's way
    rows: Annotated[str, typer.Option(help="key=value,value...: a row of drawings for each value")] = "strength=1",
    columns: int = 10,
    again: Annotated[
        list[str], typer.Option(help="key=value: of a last row, of what becomes of the drawings above it")
    ] = [],  # noqa: B006
    tile: Annotated[int, typer.Option(help="pixels of a picture's side")] = 192,
) -> None:
    """Write the sheet: photos in rows, each row of photos followed by its rows of drawings."""
    fixed, further = (dict(each.split("=", 1) for each in options) for options in (option, again))
    key, values = rows.split("=", 1)
    bands = [photos[first : first + columns] for first in range(0, len(photos), columns)]
    lines: list[list[bytes]] = []
    with running_service() as client:

        def drawn(pictures: list[bytes], params: dict[str, str]) -> list[bytes]:
            accepted = {"accept": "image/png"}
            answers = [
                timed(client, "/translate", params=params, files={"image": each}, headers=accepted)[0]
                for each in pictures
            ]
            return [answer.content for answer in answers]

        for band in bands:
            shown = [photo.read_bytes() for photo in band]
            lines += [shown, *(drawn(shown, fixed | {key: value}) for value in values.split(","))]
            if again:
                lines.append(drawn(lines[-1], further))
    sheet = Image.new("RGB", (min(columns, len(photos)) * tile, len(lines) * tile), "white")
    for y, line in enumerate(lines):
        for x, picture in enumerate(line):
            tiled = Image.open(BytesIO(picture)).convert("RGB")
            sheet.paste(tiled.resize((tile, tile), Image.Resampling.LANCZOS), (x * tile, y * tile))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, quality=88)


if __name__ == "__main__":
    typer.run(main)
