"""What the documents promise has a test: each one that they name exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("security.md", "privacy.md")


def named(document: str) -> list[tuple[str, str]]:
    """The tests that a document names, as file and function."""
    text = (ROOT / "docs" / document).read_text()
    return re.findall(r"`([a-z_/]+\.py)::(test_\w+)`", text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_named_test_exists(document: str) -> None:
    """A test that is renamed or removed takes its promise along, or leaves the document."""
    promised = named(document)
    assert promised
    for file, test in promised:
        functions = ast.walk(ast.parse((ROOT / "tests" / file).read_text()))
        assert test in {each.name for each in functions if isinstance(each, ast.FunctionDef)}, f"{file}::{test}"
