"""service.cancellation: whoever works for a request learns that it is not wanted any more."""

import time

import pytest

from service.cancellation import Cancellation
from service.errors import ClientClosed, DeadlineExceeded


def test_a_check_raises_why_the_work_is_not_wanted() -> None:
    """Nothing before, ClientClosed after cancel, DeadlineExceeded with the stage after the deadline."""
    Cancellation(time.monotonic() + 60).check()
    left = Cancellation()
    left.cancel()
    with pytest.raises(ClientClosed):
        left.check()
    late = Cancellation(time.monotonic() - 1)
    late.stage = "decode"
    with pytest.raises(DeadlineExceeded, match="decode"):
        late.check()


def test_hooks_of_what_runs_are_called_once() -> None:
    """A hook is called by cancel while its block runs, at once if cancel came before, and never after."""
    calls: list[str] = []
    cancellation = Cancellation()
    with cancellation.hooked(lambda: calls.append("over")):
        pass
    with cancellation.hooked(lambda: calls.append("running")):
        cancellation.cancel()
        cancellation.cancel()
    with cancellation.hooked(lambda: calls.append("late")):
        pass
    assert calls == ["running", "late"]


def test_only_time_after_the_client_left_is_wasted() -> None:
    """Seconds count as wasted from the moment of cancel, and none without it."""
    cancellation = Cancellation()
    began = time.monotonic() - 10
    assert cancellation.wasted(began) == 0
    cancellation.cancel()
    assert cancellation.wasted(began) == pytest.approx(0, abs=0.5)
    assert cancellation.wasted(time.monotonic() + 1) == 0
