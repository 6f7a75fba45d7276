"""What can be wrong with data; the message names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.engine.errors import TrainingError


class DataError(TrainingError):
    """A set that cannot be read, or that there is nothing to learn from."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """DataError names the file, if the block cannot write it: the disk is full, or the folder is not ours."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
