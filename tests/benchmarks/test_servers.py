import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.machine import ROOT
from benchmarks.servers import OURS, PEERS, SERVERS, Server

SHARED = ("numpy", "onnxruntime", "opencv-python-headless", "dlib-bin", "pillow")
IMPORTED = """
import sys
before = set(sys.modules)
import benchmarks.work
loaded = {module.partition(".")[0] for module in set(sys.modules) - before}
from importlib.metadata import packages_distributions
names = packages_distributions()
print("\\n".join({name for module in loaded for name in names.get(module, [])}))
"""


def pins(path: Path) -> dict[str, str]:
    """Package -> version."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.lower().split("==") for line in lines)


@pytest.mark.parametrize("folder", sorted({server.folder for server in SERVERS if server.folder}))
def test_peers_do_the_work_with_the_same_libraries(folder: str):
    """Codecs, detector and runtime have the versions that the service has: another one would be another work."""
    ours, theirs = pins(ROOT / "constraints.txt"), pins(PEERS / folder / "requirements.txt")
    assert {name: theirs.get(name) for name in SHARED} == {name: ours[name] for name in SHARED}


def test_the_work_needs_nothing_that_peers_do_not_have():
    """What importing the work loads is in every peer's environment."""
    command = [sys.executable, "-c", IMPORTED]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for folder in {server.folder for server in SERVERS if server.folder}:
        assert {name.lower() for name in loaded} - {"likeness"} <= {*pins(PEERS / folder / "requirements.txt")}


def test_a_peer_has_at_most_two_settings():
    """Nobody is measured until it looks good, or bad; and the labels that results go by are unique."""
    labels = [server.label for server in SERVERS]
    assert len({*labels}) == len(labels)
    settings = {name: [each for each in SERVERS if each.name == name] for name in {each.name for each in SERVERS}}
    assert max(map(len, settings.values())) == 2 and settings[OURS.name] == [OURS]


def test_every_setting_has_two_pieces_of_work_or_two_threads():
    """All peers may use the same two cores, each way."""

    def cores(server: Server) -> int:
        return max(server.processes * server.lanes, server.threads)

    assert all(cores(server) >= 2 for server in SERVERS if not server.is_ours)
