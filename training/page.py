"""Pages of HTML that need no other file: a template filled in, everything in it escaped, with its pictures inside."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from export.alignment import Image
from training.data.errors import writing
from training.engine.drafts import drafted

_QUALITY = 85


def filled(template: Path, **facts: Any) -> str:
    """The page; jinja2's UndefinedError if the template wants a fact that is not given."""
    folder = FileSystemLoader(template.parent)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template(template.name).render(**facts)


def written(page: str, path: Path) -> None:
    """In one step, below a folder that is made if it is not there. DataError if there is no room."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with drafted(path) as draft:
            draft.write_text(page, encoding="utf-8")


def embedded(image: Image) -> str:
    """A picture uint8 [H, W, 3] RGB as a data URI."""
    how = (cv2.IMWRITE_JPEG_QUALITY, _QUALITY)
    file = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), how)[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(file).decode()}"
