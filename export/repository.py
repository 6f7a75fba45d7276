"""Where models lie: `<root>/<name>/<integer version>/` with a manifest of digests; the highest version is served."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FORMAT = 1
MANIFEST = "manifest.json"
CARD = "card.md"
GRAPH = "model.onnx"
"""The file of a model that ONNX Runtime runs."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_VERSION = re.compile(r"[1-9][0-9]*")


class RepositoryError(Exception):
    """Anything wrong with a model repository."""


class ModelNotFound(RepositoryError):
    """No such model, or no such version of it."""


class VersionExists(RepositoryError):
    """A published version is never overwritten."""


class ManifestError(RepositoryError):
    """A manifest that is missing, unreadable or of an unknown format."""


class DigestMismatch(RepositoryError):
    """A file that is missing or not the one that was published."""


@dataclass(frozen=True)
class Entry:
    """One published version; `files` maps each file's name to its sha256 in hex, verified when resolved."""

    name: str
    version: int
    folder: Path
    files: Mapping[str, str]

    def path(self, file: str) -> Path:
        """Where the file lies; ModelNotFound if the version has none of that name."""
        if file not in self.files:
            raise ModelNotFound(f"{self.name}/{self.version} has no {file}")
        return self.folder / file


@dataclass(frozen=True)
class Repository:
    """The models under `root`."""

    root: Path

    def names(self) -> list[str]:
        """Every model that has at least one version."""
        if not self.root.is_dir():
            return []
        return sorted(folder.name for folder in self.root.iterdir() if self.versions(folder.name))

    def versions(self, name: str) -> list[int]:
        """The versions of a model, lowest first; empty if there is no such model."""
        folder = self.root / name
        if not _NAME.fullmatch(name) or not folder.is_dir():
            return []
        return sorted(int(child.name) for child in folder.iterdir() if _VERSION.fullmatch(child.name))

    def resolve(self, name: str, version: int | None = None) -> Entry:
        """A version (by default the highest) with every digest of its manifest verified."""
        versions = self.versions(name)
        if not versions or (version is not None and version not in versions):
            raise ModelNotFound(f"no model {name}" + (f" of version {version}" if version is not None else ""))
        version = versions[-1] if version is None else version
        folder = self.root / name / str(version)
        entry = Entry(name, version, folder, _manifest(folder))
        for file, digest in entry.files.items():
            path = folder / file
            if not path.is_file() or _digest(path) != digest:
                raise DigestMismatch(f"{path} is not the file that was published")
        return entry


def vacant(root: Path, name: str, version: int) -> Path:
    """Where a new version is to lie. RepositoryError if these are no name and version; VersionExists."""
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(str(version)):
        raise RepositoryError(f"{name}/{version} is no name and version of a model")
    target = root / name / str(version)
    if target.exists():
        raise VersionExists(f"{target} is published already")
    return target


def publish(root: Path, name: str, version: int, files: Mapping[str, bytes | Path]) -> Entry:
    """Write a new version beside its place and move it there in one step: it is never seen half written.

    The model card is not in the manifest, so that its prose can be mended later.
    Raises RepositoryError and VersionExists.
    """
    target = vacant(root, name, version)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as scratch:
        folder = Path(scratch) / "version"
        folder.mkdir()
        for file, content in files.items():
            _write(folder / file, content)
        manifest = {
            file: {"sha256": _digest(folder / file), "bytes": (folder / file).stat().st_size}
            for file in sorted(files)
            if file != CARD
        }
        (folder / MANIFEST).write_text(json.dumps({"format": FORMAT, "files": manifest}, indent=2) + "\n")
        folder.rename(target)
    return Repository(root).resolve(name, version)


def _write(path: Path, content: bytes | Path) -> None:
    if path.name in ("", MANIFEST) or path.parent.name != "version":
        raise RepositoryError(f"{path.name!r} cannot be a file of a model")
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _manifest(folder: Path) -> dict[str, str]:
    """File name -> sha256 of a version's manifest."""
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_text())
        if document["format"] != FORMAT:
            raise ManifestError(f"{path}: unknown format; this version reads format {FORMAT}")
        files = {str(file): str(facts["sha256"]) for file, facts in document["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{path}: {type(error).__name__}: {error}") from error
    if any(Path(file).name != file for file in files):
        raise ManifestError(f"{path}: a file outside the version's folder")
    return files
