"""Files that are whole or not there: what is written takes its place in one step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Where to write instead of `path`; moved there if the block ends well, and gone if it does not, Ctrl-C too."""
    draft = path.with_suffix(".draft")
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
