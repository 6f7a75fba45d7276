"""export.repository: versions, digests and atomic publishing."""

import json

import pytest

from export.repository import (
    DigestMismatch,
    ManifestError,
    ModelNotFound,
    Repository,
    RepositoryError,
    VersionExists,
    publish,
)

FILES = {"model.onnx": b"graph", "card.md": b"# Card"}


def test_a_published_model_is_resolved(tmp_path):
    """What was published is found by name, with its digests, and without the card among them."""
    source = tmp_path / "weights"
    source.write_bytes(b"graph")
    publish(tmp_path / "models", "toy", 1, {**FILES, "model.onnx": source})
    entry = Repository(tmp_path / "models").resolve("toy")
    assert (entry.name, entry.version, list(entry.files)) == ("toy", 1, ["model.onnx"])
    assert entry.path("model.onnx").read_bytes() == b"graph"
    with pytest.raises(ModelNotFound):
        entry.path("model.dat")


def test_the_highest_version_is_served(tmp_path):
    """Versions are integers: 10 is above 9, and an older one can be asked for."""
    for version in (9, 10, 2):
        publish(tmp_path, "toy", version, FILES)
    repository = Repository(tmp_path)
    assert repository.versions("toy") == [2, 9, 10]
    assert repository.resolve("toy").version == 10
    assert repository.resolve("toy", 9).version == 9
    assert repository.names() == ["toy"]


def test_a_changed_file_is_refused_but_a_mended_card_is_not(tmp_path):
    """Every byte of the model is verified; the card's prose is free."""
    entry = publish(tmp_path, "toy", 1, FILES)
    (entry.folder / "card.md").write_text("# Better card")
    Repository(tmp_path).resolve("toy")
    (entry.folder / "model.onnx").write_bytes(b"grapH")
    with pytest.raises(DigestMismatch):
        Repository(tmp_path).resolve("toy")
    (entry.folder / "model.onnx").unlink()
    with pytest.raises(DigestMismatch):
        Repository(tmp_path).resolve("toy")


@pytest.mark.parametrize("name", ["nothing", "..", "../models", "Toy", ""])
def test_what_is_not_there_is_not_found(tmp_path, name):
    """Unknown names, and names that are paths, are ModelNotFound."""
    publish(tmp_path, "toy", 1, FILES)
    with pytest.raises(ModelNotFound):
        Repository(tmp_path).resolve(name)
    with pytest.raises(ModelNotFound):
        Repository(tmp_path).resolve("toy", 2)


@pytest.mark.parametrize(
    "manifest",
    ["{", "[]", '{"format": 1}', '{"format": 2, "files": {}}', '{"format": 1, "files": {"../x": {"sha256": ""}}}'],
)
def test_a_strange_manifest_is_refused(tmp_path, manifest):
    """An unreadable manifest, an unknown format or a path that leaves the folder is a ManifestError."""
    entry = publish(tmp_path, "toy", 1, FILES)
    (entry.folder / "manifest.json").write_text(manifest)
    with pytest.raises(ManifestError):
        Repository(tmp_path).resolve("toy")


def test_publishing_is_all_or_nothing(tmp_path):
    """A failed publication leaves no version, no scratch folder, and a published one is never overwritten."""
    with pytest.raises(RepositoryError):
        publish(tmp_path, "toy", 1, {**FILES, "../escape": b""})
    assert Repository(tmp_path).names() == [] and list((tmp_path / "toy").iterdir()) == []
    publish(tmp_path, "toy", 1, FILES)
    with pytest.raises(VersionExists):
        publish(tmp_path, "toy", 1, FILES)
    with pytest.raises(RepositoryError):
        publish(tmp_path, "../toy", 1, FILES)
    assert [child.name for child in (tmp_path / "toy").iterdir()] == ["1"]


def test_the_manifest_states_size_and_digest(tmp_path):
    """The manifest is plain JSON with the size and sha256 of each file."""
    entry = publish(tmp_path, "toy", 1, FILES)
    facts = json.loads((entry.folder / "manifest.json").read_text())["files"]["model.onnx"]
    assert facts == {"sha256": entry.files["model.onnx"], "bytes": 5}
