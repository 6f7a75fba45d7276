"""service.sessions: graphs run from many threads, in memory that they share and give back."""

import gc
from pathlib import Path
from threading import Thread

import numpy as np
import onnxruntime
import pytest

from service import machine
from service.cancellation import Cancellation
from service.providers import ProviderUnavailable
from service.sessions import Binding, Session


def feed_of(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs of the toy translator, every row another."""
    random = np.random.default_rng(seed)
    return {
        "image": random.integers(0, 256, (rows, 256, 256, 3), dtype=np.uint8),
        "strength": random.uniform(0, 3, rows).astype(np.float32),
        "style": random.standard_normal((rows, 2)).astype(np.float32),
        "warmth": random.uniform(-1, 1, rows).astype(np.float32),
    }


@pytest.fixture(name="path")
def path_(models: Path) -> Path:
    """The toy translator's file."""
    return models / "caricature" / "1" / "model.onnx"


def test_an_error_of_the_runtime_is_not_a_client_that_left(path: Path) -> None:
    """What fails while somebody waits raises what it is."""
    with pytest.raises(ValueError, match="image"):
        Session(path).run({}, Cancellation())


def test_no_flag_outlives_its_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run has options of its own: cancelling one that is over stops no other."""
    made: list[onnxruntime.RunOptions] = []

    class Noted(onnxruntime.RunOptions):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(onnxruntime, "RunOptions", Noted)
    session, cancellation = Session(path), Cancellation()
    for _ in range(3):
        session.run(feed_of(1), cancellation)
    cancellation.cancel()
    assert len(made) == len({id(each) for each in made}) == 3 and not any(each.terminate for each in made)


def test_shrinking_changes_nothing_but_memory(path: Path) -> None:
    """Runs before, at and after a shrink give the same, also beside one another."""
    session, feed = Session(path), feed_of(8)
    expected = session.run(feed)
    wrong = []

    def ask(shrink: bool) -> None:
        wrong.extend(not np.array_equal(session.run(feed, shrink=shrink), expected) for _ in range(10))

    threads = [Thread(target=ask, args=(shrink,)) for shrink in (True, False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 30 and not any(wrong)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell what a process holds")
def test_a_session_that_is_let_go_gives_its_memory_back() -> None:
    """Opening and closing the same model again and again does not fill the memory."""
    path = Path(__file__).parents[2] / "models" / "sphereface" / "3" / "model.onnx"
    held = []
    for _ in range(4):
        session = Session(path)
        assert session.memory > path.stat().st_size  # half-precision weights are widened
        del session
        gc.collect()
        held.append(machine.held())
    assert held[-1] - held[0] < 10e6


def test_a_provider_that_is_not_there_is_an_error(path: Path) -> None:
    """A session that cannot run on what it was opened for does not run elsewhere in silence."""
    with pytest.raises(ProviderUnavailable, match="CUDAExecutionProvider"):
        Session(path, providers=[("CUDAExecutionProvider", {}), ("CPUExecutionProvider", {})])


def test_bound_memory_gives_what_a_plain_run_gives(path: Path) -> None:
    """Outputs are copies of their own, and what a run leaves in the buffers does not show in the next one."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    binding = Binding(session, 4, pinned=False)
    feeds = [feed_of(4, seed) for seed in (1, 2)]
    first, second = (binding.run(feed, onnxruntime.RunOptions()) for feed in feeds)
    for feed, output in zip(feeds, (first, second), strict=True):
        np.testing.assert_array_equal(session.run(None, feed)[0], output)
    assert not np.shares_memory(first, second)
    with pytest.raises(ValueError, match="broadcast"):
        binding.run(feed_of(3), onnxruntime.RunOptions())
