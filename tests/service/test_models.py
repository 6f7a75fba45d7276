"""service.models: a graph that keeps its contract runs, any other is refused at start."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.contract import METADATA_KEY, Contract, ContractError, ControlError
from export.repository import DigestMismatch, Entry, Repository, publish
from service.models import OnnxModel, Row, load_all

FACE = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


@pytest.fixture(name="translator")
def translator_(models: Path) -> OnnxModel:
    """The toy, loaded."""
    return OnnxModel(Repository(models).resolve("caricature"))


def changed(file: bytes, tmp_path: Path, metadata: dict[str, str]) -> Entry:
    """A published copy of a graph with other metadata."""
    model = onnx.load_model_from_string(file)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    return publish(tmp_path, "toy", 1, {"model.onnx": model.SerializeToString()})


def test_rows_of_a_batch_are_what_they_are_alone(translator: OnnxModel) -> None:
    """Row i of a batch of mixed requests equals row i run alone."""
    rows = [Row(FACE, {"strength": value, "warmth": value / 3}) for value in (0, 0.5, 1, 3)]
    together = translator.run(rows)
    for row, output in zip(rows, together, strict=True):
        np.testing.assert_array_equal(translator.run([row])[0], output)
    np.testing.assert_array_equal(together[0], FACE)


def test_batching_is_off_on_a_cpu_unless_asked_for(models: Path, translator: OnnxModel) -> None:
    """A CPU runs one row at a time by default, and what the settings say otherwise."""
    assert translator.max_batch == 1
    assert OnnxModel(Repository(models).resolve("caricature"), max_batch=4).max_batch == 4


def test_every_onnx_model_is_loaded_and_warm(models: Path) -> None:
    """All models with a graph are loaded; the landmark predictor is not one of them."""
    loaded = load_all(Repository(models), max_batch=2)
    assert sorted(loaded) == ["caricature", "sphereface"]
    for model in loaded.values():
        model.warm_up()


def test_an_encoder_gives_unit_vectors(models: Path) -> None:
    """Embeddings have length one, whatever the crop."""
    encoder = OnnxModel(Repository(models).resolve("sphereface"))
    (vector,) = encoder.run([Row(FACE[:112, :96], {})])
    assert vector.shape == (512,) and abs(np.linalg.norm(vector) - 1) < 1e-5


def test_bad_control_values_do_not_reach_the_graph(translator: OnnxModel) -> None:
    """A value out of range is refused before anything runs."""
    with pytest.raises(ControlError):
        translator.run([Row(FACE, {"strength": 4.0})])


def test_files_that_break_their_promise_are_refused_by_name(
    translator_file: bytes, tmp_path: Path, models: Path
) -> None:
    """No contract, an unknown format, or a graph of another shape: ContractError with the file's path."""
    contract = Contract.from_metadata(
        {each.key: each.value for each in onnx.load_model_from_string(translator_file).metadata_props}, "toy"
    )
    liar = replace(contract, output_shape=(128, 128, 3))
    future = {METADATA_KEY: contract.to_metadata()[METADATA_KEY].replace('"format": 1', '"format": 2')}
    for number, metadata in enumerate(({}, future, liar.to_metadata())):
        entry = changed(translator_file, tmp_path / str(number), metadata)
        with pytest.raises(ContractError, match=r"model\.onnx"):
            OnnxModel(entry)


def test_a_changed_file_is_not_loaded(translator_file: bytes, tmp_path: Path) -> None:
    """A graph whose digest is not the published one does not start."""
    entry = publish(tmp_path, "toy", 1, {"model.onnx": translator_file})
    entry.path("model.onnx").write_bytes(translator_file + b"\0")
    with pytest.raises(DigestMismatch):
        load_all(Repository(tmp_path))
