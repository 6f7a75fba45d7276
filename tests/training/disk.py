"""What disks do to files: one is full, another returns what was never written."""

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def full(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes within the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def spoil(pack: Path, number: int) -> None:
    """The first bytes of that picture of a pack, which make it a JPEG, become others."""
    begins = [found.start() for found in re.finditer(b"\xff\xd8\xff", pack.read_bytes())]
    with pack.open("r+b") as file:
        file.seek(begins[number])
        file.write(bytes(4))
