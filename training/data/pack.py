"""A set of pictures in one file, small enough to move: encoded pictures one after the other, and what is known of each.

A safetensors file: `files` are the bytes of all pictures, `ends` where each ends; further tensors have a row for each
picture (points, person, domain, attributes). The metadata has the names that numbers stand for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from export.alignment import Image
from training.data.errors import DataError
from training.engine.drafts import drafted

cv2.setNumThreads(1)  # processes that read examples run one a core, beside the one that trains

FORMAT = "likeness-pack/1"
QUALITY = 95


@dataclass(frozen=True)
class Example:
    """One picture of a pack, uint8 [H, W, 3] RGB; all examples of a pack have the same columns."""

    image: Image
    names: Mapping[str, str] = field(default_factory=dict)
    """What is told by a name: person, domain, source."""
    numbers: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What is told by numbers: points, attributes."""


def write(path: Path, examples: Iterable[Example], quality: int = QUALITY) -> int:
    """Pack the examples; how many.

    DataError if there is none, if one has other columns than the first, or if the file cannot be written.
    """
    files, names, numbers = list[bytes](), dict[str, list[str]](), dict[str, list[NDArray[Any]]]()
    for example in examples:
        if files and (example.names.keys() != names.keys() or example.numbers.keys() != numbers.keys()):
            raise DataError(f"{path}: example {len(files)} has other columns than the first")
        files.append(_encoded(example.image, quality))
        for name, text in example.names.items():
            names.setdefault(name, []).append(text)
        for name, value in example.numbers.items():
            numbers.setdefault(name, []).append(np.asarray(value))
    if not files:
        raise DataError(f"{path}: there is no picture to pack")
    known = {name: sorted(set(texts)) for name, texts in names.items()}
    columns = {name: np.stack(rows) for name, rows in numbers.items()}
    columns |= {name: np.searchsorted(known[name], texts).astype(np.int32) for name, texts in names.items()}
    tensors = {
        "files": np.frombuffer(b"".join(files), np.uint8),
        "ends": np.cumsum([len(each) for each in files]).astype(np.int64),
        **{f"column/{name}": np.ascontiguousarray(value) for name, value in columns.items()},
    }
    try:
        with drafted(path) as draft:
            save_file(tensors, draft, {"format": FORMAT, "names": json.dumps(known)})
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} cannot be written: {error}") from error
    return len(files)


class Pack:
    """A pack that is open; pictures are decoded when they are asked for, in any process."""

    def __init__(self, path: Path) -> None:
        """DataError if the file is no pack."""
        self.path = path
        try:
            with safe_open(path, "numpy") as opened:
                metadata = opened.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise DataError(f"{path} is no pack")
                columns = {key: opened.get_tensor(key) for key in opened.keys() if key != "files"}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error
        self._ends = columns.pop("ends")
        self.columns: Mapping[str, NDArray[Any]] = {key.removeprefix("column/"): each for key, each in columns.items()}
        self.names: Mapping[str, Sequence[str]] = json.loads(metadata["names"])
        self._rows = np.arange(len(self._ends))
        self._file: Any = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def fingerprint(self) -> str:
        """Which data they are, wherever the file is: 12 digits of a digest of all columns and of each picture's size.

        Not of the pictures themselves, which would all have to be read.
        """
        digest = hashlib.sha256(json.dumps(self.names, sort_keys=True).encode())
        for name, values in sorted({**self.columns, "": self._ends}.items()):
            digest.update(f"{name} {values.dtype} {values.shape}".encode())
            digest.update(values.tobytes())
        return digest.hexdigest()[:12]

    def where(self, column: str, *names: str) -> Self:
        """The examples whose name in a column is one of these; DataError if there is none."""
        wanted = [self.names[column].index(name) for name in names if name in self.names.get(column, ())]
        return self._part(np.isin(self.columns[column], wanted) if wanted else np.zeros(len(self), bool), column, names)

    def present(self, column: str) -> tuple[str, ...]:
        """The names in a column that any of the examples has; none without the column."""
        names = self.names.get(column, ())
        return tuple(names[code] for code in np.unique(self.columns[column])) if names else ()

    def number(self, index: int) -> int:
        """Which picture of the file it is, from 0 on; the same in every part of the pack."""
        return int(self._rows[index])

    def image(self, index: int) -> Image:
        """uint8 [H, W, 3] RGB; DataError if its bytes are no picture."""
        row = self.number(index)
        begin, end = int(self._ends[row - 1]) if row else 0, int(self._ends[row])
        decoded = cv2.imdecode(self._bytes()[begin:end], cv2.IMREAD_COLOR)
        if decoded is None:
            raise DataError(f"{self.path}: picture {row} is broken")
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)

    def images(self) -> NDArray[np.uint8]:
        """All of them, uint8 [N, H, W, 3]; DataError unless they are of one size."""
        images = [self.image(index) for index in range(len(self))]
        for index, image in enumerate(images):
            if image.shape != images[0].shape:
                row, first = (f"{each.shape[1]} x {each.shape[0]}" for each in (image, images[0]))
                raise DataError(f"{self.path}: picture {self.number(index)} has {row} pixels, the first one {first}")
        return np.stack(images)

    def _part(self, chosen: NDArray[np.bool_], column: str, names: Sequence[str]) -> Self:
        if not chosen.any():
            known = ", ".join(self.names.get(column, ())) or "nothing"
            raise DataError(f"{self.path}: no example has {column} {' or '.join(names)}; there is {known}")
        part = object.__new__(type(self))
        part.__dict__ |= self.__dict__
        part.columns = {name: values[chosen] for name, values in self.columns.items()}
        part._rows = self._rows[chosen]
        return part

    def _bytes(self) -> Any:
        """The bytes of all pictures, mapped and not read; a process that was forked maps them anew."""
        if self._file is None:
            self._file = safe_open(self.path, "numpy")
        return self._file.get_slice("files")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


def _encoded(image: Image, quality: int) -> bytes:
    how = (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), how)[1].tobytes()
