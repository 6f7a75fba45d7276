"""training.cli: what whoever types a command is told, in a sentence."""

import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from export.repository import publish
from tests.training.toy import Config, Other, Toy
from training.cli import app
from training.engine import loop, session
from training.engine.errors import RecipeError, RunError
from training.engine.recipe import Measured
from training.engine.run import Run


@pytest.fixture(autouse=True)
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """All recipes are the toy."""
    monkeypatch.setattr(session, "find", lambda name: Toy)


def failed(status: int, *words: object) -> str:
    """The one line that a command says which ends so."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == status and isinstance(result.exception, SystemExit), result.output
    return result.stderr.rstrip("\n")


def train(folder: Path, *more: object) -> list[object]:
    """The words of a training of the toy, whose data are made up."""
    return ["train", "toy", "--data", folder, "--into", folder / "run", "--device", "cpu", *more]


@pytest.mark.parametrize(
    ("has", "precision", "told"), [(False, "bf16-mixed", 1), (False, "32-true", 0), (True, "bf16-mixed", 0)]
)
def test_a_cpu_without_bfloat16_is_told(
    has: bool, precision: str, told: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start, once, and only of a run that would compute in it."""
    monkeypatch.setattr(session, "computes_in_bfloat16", lambda: has)
    result = CliRunner().invoke(app, [str(word) for word in train(tmp_path, "--precision", precision)])
    assert result.exit_code == 0 and result.stderr.count("no instructions for bfloat16") == told


def test_ctrl_c_twice_tells_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the checkpoint of 32 images, with the status of what Ctrl-C ended."""

    def twice(_: object, seen: int) -> None:
        if seen == 40:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop.Journal, "advance", twice)
    last = failed(130, *train(tmp_path)).splitlines()[-1]
    assert last == "ended at once; the checkpoint of 32 images is kept"


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--device", "tpu"), "there is no device 'tpu'; there are auto, cpu, cuda"),
        (("--precision", "16-mixed"), "there is no precision '16-mixed'; there are 32-true, bf16-mixed"),
        (("--set", "rate=fast"), "rate: input should be a valid number"),
    ],
)
def test_what_cannot_be_trained_with_is_named(tmp_path: Path, more: tuple[str, ...], complaint: str) -> None:
    """A device, a precision, a setting; nothing is begun."""
    assert failed(1, *train(tmp_path, *more)).startswith(complaint) and not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As such, not as a fault of the program."""
    assert failed(1, *train(tmp_path, "--device", "cuda")).startswith("PyTorch finds no device 'cuda' here")


def test_a_batch_that_cannot_be_divided_is_named(tmp_path: Path) -> None:
    """By the settings that do not go together; the same command goes on with others."""
    assert "batch must be a multiple of parts" in failed(1, *train(tmp_path, "--set", "parts=3")).splitlines()[-1]
    assert CliRunner().invoke(app, [str(word) for word in train(tmp_path, "--set", "batch=9")]).exit_code == 0


@pytest.mark.parametrize(
    ("to", "complaint"),
    [
        ("1", "1 is not models/NAME/VERSION"),
        ("models/toy/new", "models/toy/new is not models/NAME/VERSION"),
        ("models/Toy/1", "Toy/1 is no name and version of a model"),
        ("models/toy/0", "toy/0 is no name and version of a model"),
        ("models/toy/1", "models/toy/1 is published already"),
    ],
)
def test_where_a_model_cannot_go_is_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, complaint: str
) -> None:
    """Before anything of the run is looked at, whose export takes minutes."""
    monkeypatch.chdir(tmp_path)
    publish(Path("models"), "toy", 1, {"model.onnx": b"graph"})
    assert failed(1, "export", "nowhere", "--to", to) == complaint


def test_a_precision_is_chosen_where_it_is_measured(tmp_path: Path) -> None:
    """Of other recipes nobody would know what it costs."""
    run = Run(tmp_path / "run")
    run.begin("toy", Toy(Config()))
    told = failed(1, "export", run.folder, "--to", tmp_path / "models" / "toy" / "1", "--precision", "int8")
    assert told == "a precision can be chosen where it is measured what that changes; of this recipe it is not"


def test_a_file_of_settings_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--set wins over it, and what it says beside settings is named."""
    file = tmp_path / "fast.yaml"
    file.write_text("rate: 0.5\nimages: 16\ngpu: 3\n")
    monkeypatch.setattr(Toy, "translated", lambda told, source: ({k: told[k] for k in ("rate", "images")}, ("gpu",)))
    words = train(tmp_path, "--config", file, "--set", "images=8")
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0 and f"{file}: gpu: say nothing here" in result.stderr
    settings = Run(tmp_path / "run").facts()["settings"]
    assert (settings["rate"], settings["images"]) == (0.5, 8)


def test_a_setting_of_a_file_that_there_is_not_is_named(tmp_path: Path) -> None:
    """As one that was typed is; nothing is begun."""
    (tmp_path / "x.yaml").write_text("rat: 0.5\n")
    assert failed(1, *train(tmp_path, "--config", tmp_path / "x.yaml")).startswith("rat: no setting of this recipe")
    assert not (tmp_path / "run").exists()


def test_an_export_chooses_what_changes_nothing_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of these a run may also go on with others; nothing else is exported otherwise than it was trained."""
    monkeypatch.setattr(Toy, "free", frozenset({"noise"}))
    run, to = tmp_path / "run", tmp_path / "models" / "toy" / "1"
    assert CliRunner().invoke(app, [str(word) for word in train(tmp_path)]).exit_code == 0
    told = failed(1, "export", run, "--to", to, "--set", "rate=2")
    assert told == "rate: no setting that an export may choose; there are noise"

    def told_instead(recipe: Toy, networks: object) -> nn.Module:
        raise RunError(f"noise is {recipe.config.noise}")

    monkeypatch.setattr(Toy, "exported", told_instead)
    assert failed(1, "export", run, "--to", to, "--set", "noise=0.25").endswith("noise is 0.25")
    assert CliRunner().invoke(app, [str(word) for word in train(tmp_path, "--set", "noise=0.5")]).exit_code == 0


class Swapped(nn.Module):
    """Every row gets the answer of another one."""

    def forward(self, image: Tensor) -> Tensor:
        return image.flip(0)


def test_a_network_that_cannot_be_exported_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the run and how far it is from what it should be; nothing is published."""
    monkeypatch.setattr(Toy, "exported", lambda self, networks: Swapped())
    run = Run(tmp_path / "run")
    run.begin("toy", Toy(Config()))
    line = Toy(Config()).networks()["line"].state_dict()
    run.save("toy", {f"averages/line/{key}": value for key, value in line.items()}, images=8, steps=1, keep=False)
    told = failed(1, "export", run.folder, "--to", tmp_path / "models" / "toy" / "1").splitlines()[-1]
    assert told.startswith(f"{run.folder} cannot be exported: image deviates by more than 1: {{'row'")
    assert not (tmp_path / "models").exists()


def test_a_rehearsal_begins_where_the_run_would(tmp_path: Path) -> None:
    """With the weights of the run that it begins from, or with what is wrong with that one."""
    parent = tmp_path / "parent"
    session.Session("toy", {}, parent, device="cpu").train(tmp_path)
    tensors, _ = Run(parent).state("toy") or ({}, {})
    dry = train(tmp_path, "--dry-run", "--begin-from", parent)
    told = CliRunner().invoke(app, [str(word) for word in dry]).output
    assert f"slope: {tensors['averages/line/weight'].item():.4g}" in told.splitlines()
    (parent / "latest.safetensors").unlink()
    assert "latest.safetensors cannot be read" in failed(1, *dry)
    assert not (tmp_path / "run").exists()


def test_a_rehearsal_tells_whose_folder_it_is(tmp_path: Path) -> None:
    """As the run itself would."""
    run = Run(tmp_path / "run")
    run.begin("other", Other(Config()))
    run.save("other", {}, images=8, steps=1, keep=False)
    told = failed(1, *train(tmp_path, "--dry-run"))
    assert told == f"{run.folder} is a run of the recipe 'other', not of 'toy'"


@pytest.mark.parametrize("first", ["sheet", "measure"])
def test_a_rehearsal_shows_and_measures(first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would end the run at its first sheet or measurement, hours later, ends the rehearsal."""

    def fails(*_: object) -> None:
        raise RecipeError(f"no {first} can be made")

    monkeypatch.setattr(Toy, first, fails)
    assert failed(1, *train(tmp_path, "--dry-run", "--set", "measure=64")) == f"no {first} can be made"
    assert not (tmp_path / "run").exists()


def test_a_rehearsal_tells_what_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is refused; nothing of it where a run would not measure."""
    monkeypatch.setattr(Toy, "measure", lambda *_: Measured({"kid": 0.25}, ["No fid: too few."]))
    for measure, told in (("64", ["kid: 0.25", "No fid: too few."]), ("0", [])):
        words = train(tmp_path, "--dry-run", "--set", f"measure={measure}")
        lines = CliRunner().invoke(app, [str(word) for word in words]).output.splitlines()
        assert [line for line in lines if line.startswith(("kid", "No"))] == told
