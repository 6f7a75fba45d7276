"""service.doctor and `likeness doctor`: whether an installation is sound, before anybody depends on it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from export.repository import publish
from service import doctor
from service.cli import app
from service.doctor import Finding, examine, report, sound
from service.settings import Settings
from tests.conftest import (
    BUNDLED,
    GENERATOR,
    GENERATOR_GRAPH,
    STYLE_READER,
    STYLE_READER_GRAPH,
    TRANSLATOR,
    onnx_file,
)

CONSTANT = """
<ir_version: 10, opset_import: ["" : 18]>
toy (uint8[batch,256,256,3] image, float[batch] strength, float[batch,2] style, float[batch] warmth)
    => (uint8[batch,256,256,3] image_out)
<uint8 none = {0}>
{
    image_out = Mul(image, none)
}
"""


@pytest.fixture(name="own")
def own_(models: Path, tmp_path: Path) -> Path:
    """A copy of the toys' repository, to be damaged."""
    root = tmp_path / "models"
    for name in ("caricature", "sphereface"):
        shutil.copytree(models / name, root / name)
    (root / "landmarks").symlink_to(BUNDLED / "landmarks")
    return root


def failures(settings: Settings) -> dict[str, str]:
    """Subject and detail of what is not sound."""
    return {each.subject: each.detail for each in examine(settings) if each.status == "fail"}


def test_a_sound_installation_passes(models: Path) -> None:
    """Nothing fails; every model is there with its digest, what it costs and where it runs."""
    findings = list(examine(Settings(models=models, provider="cpu")))
    assert sound(findings), findings
    data = {each.subject.partition(" (")[0]: each.data for each in findings}
    assert data["model caricature/1"]["role"] == "translator" and data["model caricature/1"]["device"] == "cpu"
    assert set(data["model caricature/1"]["controls"]) == {"strength", "style", "warmth"}
    assert data["model sphereface/1"]["seconds"]["1"] > 0 and len(data["model sphereface/1"]["digest"]) == 64
    assert data["advice"]["workers"] * data["advice"]["threads"] <= data["machine"]["cores"]
    assert json.loads(json.dumps(report(findings)))["sound"] is True


def test_what_is_damaged_is_named(own: Path) -> None:
    """A changed file, a model that draws the same of everything, and defaults that are missing are failures."""
    with (own / "sphereface" / "1" / "model.onnx").open("ab") as file:
        file.write(b"\0")
    publish(own, "caricature", 2, {"model.onnx": onnx_file(CONSTANT, TRANSLATOR)})
    found = failures(Settings(models=own))
    assert "DigestMismatch" in found["model sphereface"]
    assert "same output" in next(
        detail for subject, detail in found.items() if subject.startswith("model caricature/2")
    )
    assert found["defaults"] == "no encoder 'sphereface'"


def test_a_generator_is_examined_too(own: Path, generator_file: bytes) -> None:
    """One that makes a face of each seed is sound, one that makes the same of all is not."""
    publish(own, "faces", 1, {"model.onnx": generator_file})
    assert not failures(Settings(models=own))
    blind = GENERATOR_GRAPH.replace("level = {40.0}", "level = {0.0}")
    publish(own, "faces", 2, {"model.onnx": onnx_file(blind, GENERATOR)})
    (detail,) = failures(Settings(models=own)).values()
    assert "same output" in detail


def test_what_reads_exemplars_is_examined_too(own: Path, style_reader_file: bytes) -> None:
    """Whether there is one, and whether the translator takes what it reads; none of it is needed."""
    settings = Settings(models=own)

    def told(settings: Settings) -> Finding:
        findings = list(examine(settings))
        assert sound(findings), findings
        return next(each for each in findings if each.subject == "exemplars")

    assert (told(settings).status, told(settings).detail) == ("note", "no model 'style' reads them")
    publish(own, "style", 1, {"model.onnx": style_reader_file})
    assert told(settings).status == "pass"
    wide = replace(STYLE_READER, output_shape=(3,))
    graph = STYLE_READER_GRAPH.replace("float[batch,2]", "float[batch,3]")
    graph = graph.replace("int64[2] chosen = {0, 2}", "int64[3] chosen = {0, 1, 2}")
    publish(own, "style", 2, {"model.onnx": onnx_file(graph, wide)})
    assert (told(settings).status, told(settings).detail) == ("note", "caricature takes no style that style reads")


def test_an_empty_repository_is_a_failure(tmp_path: Path) -> None:
    """Without models nothing can be served; the message says which setting names the place."""
    found = failures(Settings(models=tmp_path))
    assert "LIKENESS_MODELS" in found["models"] and "photos" in found and "defaults" in found


def test_a_provider_is_only_missed_where_it_is_demanded(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not there is a note, and a failure if the settings ask for it."""
    monkeypatch.setattr(doctor, "gpus", list)
    everything = {each.subject: each for each in examine(Settings(models=models))}
    assert everything["provider cuda"].status == "note" and everything["provider cpu"].status == "pass"
    found = failures(Settings(models=models, provider="cuda"))
    assert "provider cuda" in found and "model caricature" in found


def test_a_model_that_forgets_itself_is_noticed(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same input has to give the same bytes."""
    counter = iter(range(10**6))
    outputs = doctor.OnnxModel._outputs

    def drifting(self, *arguments, **options):
        return [np.asarray(each) + next(counter) % 7 for each in outputs(self, *arguments, **options)]

    monkeypatch.setattr(doctor.OnnxModel, "_outputs", drifting)
    found = failures(Settings(models=models))
    assert any("other bytes" in detail for detail in found.values())


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_exit_status_is_the_verdict(form: list[str], models: Path, tmp_path: Path) -> None:
    """0 where all is sound, else 1; a line for each finding, or one JSON object."""
    for root, status in ((models, 0), (tmp_path, 1)):
        result = CliRunner().invoke(app, ["doctor", *form], env={"LIKENESS_MODELS": str(root)})
        assert result.exit_code == status, result.output
        if form:
            assert json.loads(result.stdout)["sound"] is (status == 0)
        else:
            assert {line.split()[0] for line in result.stdout.splitlines()} <= {"PASS", "FAIL", "NOTE"}
            assert ("FAIL" in result.stdout) is (status == 1)


def test_a_finding_that_fails_decides() -> None:
    """Notes do not matter, one failure does."""
    note, failure = Finding("note", "a", "b"), Finding("fail", "c", "d")
    assert sound([note]) and not sound([note, failure])
