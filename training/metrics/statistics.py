"""Moments of features in files, as the published code of FID writes them: an .npz with `mu` [D] and `sigma` [D, D]."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from training.data.errors import DataError, writing
from training.engine.drafts import drafted
from training.metrics.distances import Moments

SUFFIX = ".npz"


def write(path: Path, moments: Moments) -> None:
    """DataError if the file cannot be written."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with drafted(path) as draft, draft.open("wb") as file:
            np.savez(file, mu=moments.mean, sigma=moments.covariance)


def read(path: Path) -> Moments:
    """DataError if there is no such file, or other things are in it."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:  # np.load itself leaves a broken one open
            mean, covariance = np.asarray(arrays["mu"], np.float64), np.asarray(arrays["sigma"], np.float64)
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} has no mu and sigma: {error}") from error
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise DataError(f"{path}: mu has the shape {mean.shape}, sigma {covariance.shape}")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise DataError(f"{path}: there are numbers that are not finite")
    return Moments(mean, covariance)
