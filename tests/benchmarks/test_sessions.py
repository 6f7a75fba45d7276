"""benchmarks.sessions: every case can be opened and is counted."""

import pytest

from benchmarks import sessions
from benchmarks.sessions import BOTH, CHANGES, SHRINKING, Case, cases, measure


@pytest.fixture(name="short", autouse=True)
def short_(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run or two, and no rest."""
    monkeypatch.setattr(sessions, "ROWS", 2)
    monkeypatch.setattr(sessions, "IDLE", 0.01)


def test_every_option_is_measured_once() -> None:
    """The tables have a row for each change, and for one and for all cores."""
    planned = cases(4)
    assert len(planned) == len(set(planned))
    assert {case.change for case in planned} == {*CHANGES, SHRINKING}
    assert {(case.threads, case.callers) for case in planned if case.model == "caricature"} >= {(1, 4), (4, 1), (4, 4)}


@pytest.mark.parametrize(
    "case",
    [Case("sphereface", batch=2), Case("sphereface", callers=2), Case(BOTH, "no arena", 2), Case(BOTH, SHRINKING, 2)],
    ids=lambda case: case.label,
)
def test_a_case_is_counted(case: Case) -> None:
    """Times are positive and memory is told; a wide session is timed where there is one."""
    figures = measure(case)
    assert all(figures[name] > 0 for name in ("load_ms", "run_ms", "row_ms", "row_cpu_ms"))
    assert {"opened_mib", "used_mib", "idle_percent"} <= figures.keys()
    assert ("wide_ms" in figures) is (case.model == BOTH)
    assert figures["run_ms"] <= case.batch * case.callers * figures["row_ms"] * 1.01
