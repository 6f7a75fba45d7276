import json
import platform
from pathlib import Path

from benchmarks import results
from benchmarks.results import Ledger

KEY = {"round": 0, "workload": "noop", "server": "likeness", "setting": "", "clients": 8}


def test_a_ledger_goes_on_where_it_stopped(tmp_path: Path):
    """What an interrupted run measured is not measured again, what it did not is."""
    Ledger(tmp_path / "run.json", "compare", peers=[]).add({**KEY, "good": 5})
    again = Ledger(tmp_path / "run.json", "compare", peers=["not", "asked"])
    assert not again.misses(**KEY)
    assert again.misses(**{**KEY, "round": 1}) and again.misses(**{**KEY, "clients": None, "load": 2.0})
    assert again.document["peers"] == []


def test_a_ledger_is_on_disk_after_every_measurement(tmp_path: Path):
    """The file is whole at any time, and no draft of it is left."""
    ledger = Ledger(tmp_path / "run.json", "compare")
    ledger.add({**KEY, "good": 5})
    ledger.add_footprint({**KEY, "idle": 0.0})
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["cells"] == [{**KEY, "good": 5}] and written["footprints"] == [{**KEY, "idle": 0.0}]
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_result_says_what_it_depends_on_and_names_nobody():
    """Machine, versions, commit and command are told; the host's name is not."""
    found = results.document("soak", minutes=30)
    assert found["machine"]["cores"] >= 1 and found["machine"]["packages"]["onnxruntime"]
    assert {"benchmark", "at", "commit", "command", "minutes"} <= {*found}
    assert platform.node() not in json.dumps(found) or not platform.node()
