"""training.engine.drafts: a file is whole or what it was."""

from pathlib import Path

import pytest

from training.engine.drafts import drafted


def test_what_is_written_takes_its_place(tmp_path: Path) -> None:
    """At the end of the block, and no draft stays."""
    path = tmp_path / "x.json"
    path.write_text("before")
    with drafted(path) as draft:
        draft.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_is_cut_short_leaves_the_file_before(tmp_path: Path, error: type[BaseException]) -> None:
    """By an error or by Ctrl-C, and no draft stays either."""
    path = tmp_path / "x.json"
    path.write_text("before")
    with pytest.raises(error), drafted(path) as draft:
        draft.write_text("af")
        raise error
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
