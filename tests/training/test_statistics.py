"""training.metrics.statistics: moments in files, and what `likeness eval` makes of them."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.training.disk import full
from training.cli import app
from training.data.errors import DataError
from training.data.pack import Example, write
from training.evaluation.comparison import compare
from training.evaluation.findings import Findings
from training.metrics import statistics
from training.metrics.distances import Moments
from training.metrics.features import Encoder

MOMENTS = Moments(np.arange(3.0), np.diag([1.0, 2.0, 3.0]))


def test_moments_come_back(tmp_path: Path) -> None:
    """By the names that the published code of FID has for them."""
    statistics.write(tmp_path / "new" / "some.npz", MOMENTS)
    with np.load(tmp_path / "new" / "some.npz") as arrays:
        assert sorted(arrays) == ["mu", "sigma"]
    found = statistics.read(tmp_path / "new" / "some.npz")
    assert np.array_equal(found.mean, MOMENTS.mean) and np.array_equal(found.covariance, MOMENTS.covariance)


def test_what_is_no_statistics_is_named(tmp_path: Path) -> None:
    """No file, other bytes, an array alone, other names, objects, shapes that do not fit, numbers that are none."""
    array = tmp_path / "array.npy"
    np.save(array, np.zeros(3))
    bad = {
        "bytes": lambda path: path.write_bytes(b"PK no archive"),
        "array": lambda path: path.write_bytes(array.read_bytes()),
        "empty": lambda path: path.write_bytes(b""),
        "broken": lambda path: path.write_bytes(b"PK\x03\x04 and no more"),
        "names": lambda path: np.savez(path, mean=np.zeros(3)),
        "objects": lambda path: np.savez(path, mu=np.array([{}]), sigma=np.zeros((1, 1))),
        "shapes": lambda path: np.savez(path, mu=np.zeros(3), sigma=np.zeros((2, 2))),
        "nan": lambda path: np.savez(path, mu=np.full(1, np.nan), sigma=np.ones((1, 1))),
        "nothing": lambda path: None,
    }
    for name, make in bad.items():
        make(tmp_path / f"{name}.npz")
        with pytest.raises(DataError, match=f"{name}.npz"):
            statistics.read(tmp_path / f"{name}.npz")


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    """And the error names it."""
    with full(100), pytest.raises(DataError, match=r"some\.npz cannot be written"):
        statistics.write(tmp_path / "some.npz", MOMENTS)
    assert not any(tmp_path.iterdir())


def test_statistics_take_the_place_of_pictures(models: Path, tmp_path: Path) -> None:
    """The command writes them for a network; what is made is compared with them by FID, which few pictures have not."""
    random = np.random.default_rng(0)
    write(tmp_path / "some.pack", [Example(random.integers(0, 256, (112, 96, 3), np.uint8)) for _ in range(5)])
    file, encoder = tmp_path / "some.npz", models / "sphereface" / "1"
    command = ["eval", "statistics", str(tmp_path / "some.pack"), "--into", str(file), "--features", str(encoder)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0 and "of 5 pictures" in done.stdout, done.output
    assert statistics.read(file).covariance.shape == (512, 512)


def test_statistics_are_of_the_network_that_judges(tmp_path: Path) -> None:
    """Two thousand flat pictures have a FID from those of three numbers; a network of two numbers is refused."""
    statistics.write(tmp_path / "some.npz", MOMENTS)
    random = np.random.default_rng(0)
    made = [np.full((8, 8, 3), colour, np.uint8) for colour in random.integers(0, 256, (2000, 3))]
    found = Findings()
    compare(found, [Encoder("toy", lambda crops: crops.mean((1, 2)) / 255)], tmp_path / "some.npz", None, ("", made))
    assert found.figures.keys() == {"fid@toy"} and not found.remarks
    with pytest.raises(DataError, match=r"3 features; fid@toy is of 2"):
        compare(found, [Encoder("toy", lambda crops: crops[:, 0, 0, :2])], tmp_path / "some.npz", None, ("", made))
