"""Every bundled model: its contract, its parity with the torch network that its own weights rebuild, its rows."""

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from export.contract import Contract
from export.parity import compare, draw_feed, open_session
from export.repository import Repository
from export.weights import load_state

MODELS = Repository(Path(__file__).resolve().parents[2] / "models")
VERSIONS = [(name, version) for name in MODELS.names() for version in MODELS.versions(name)]
SHARED = {"cartoonist": "satnet_r", "draughtsman": "satnet_r"}
"""Recipes whose graph stands in a module that does not bear their name."""
LIMIT = 16 * 1000 * 1000  # bytes


def resolved(name, version):
    """The verified entry, or a skip where the model is no ONNX graph."""
    entry = MODELS.resolve(name, version)
    if "model.onnx" not in entry.files:
        pytest.skip(f"{name}/{version} is no ONNX graph")
    return entry.path("model.onnx")


def network_of(contract):
    """`from_state` of the module in training.networks that has the graph of the model's recipe, or a skip."""
    recipe = Path(contract.provenance.get("recipe", "none")).stem
    name = f"training.networks.{SHARED.get(recipe, recipe)}"
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"its recipe is not of this version: {contract.provenance.get('recipe')}")
    return importlib.import_module(name).from_state


@pytest.mark.parametrize("name, version", VERSIONS)
def test_files_are_those_published_and_small(name, version):
    """Digests agree with the manifest, a card lies beside, and nothing exceeds 16 MB."""
    entry = MODELS.resolve(name, version)
    assert (entry.folder / "card.md").read_text().strip()
    assert all(entry.path(file).stat().st_size <= LIMIT for file in entry.files)


@pytest.mark.parametrize("name, version", VERSIONS)
def test_the_graph_keeps_its_contract(name, version):
    """The contract in the file can be read, describes the file's own ports, and its notice opens the model card."""
    path = resolved(name, version)
    session = open_session(path.read_bytes())
    contract = Contract.from_metadata(session.get_modelmeta().custom_metadata_map, str(path))
    sides = (session.get_inputs(), session.get_outputs())
    inputs, outputs = ([(port.name, port.type, port.shape) for port in side] for side in sides)
    contract.check(inputs, outputs, source=str(path))
    card = (path.parent / "card.md").read_text()
    assert contract.notice in card.splitlines()[0]


@pytest.mark.parametrize("name, version", VERSIONS)
def test_the_graph_equals_the_network_rebuilt_from_it(name, version):
    """A torch network built from the file's own initialisers gives the file's outputs, batch by batch, row by row."""
    path = resolved(name, version)
    session = open_session(path.read_bytes())
    contract = Contract.from_metadata(session.get_modelmeta().custom_metadata_map, str(path))
    network = network_of(contract)(load_state(path))
    compare(network, path.read_bytes(), contract, draw_feed(contract, seed=3))


@pytest.mark.parametrize("name, version", VERSIONS)
def test_the_same_bytes_for_any_number_of_threads_and_rows(name, version):
    """A row gives the same bits on 1, 2 and 3 threads, alone and in batches of 2, 4 and 8."""
    path = resolved(name, version)
    sessions = [open_session(path.read_bytes(), threads) for threads in (1, 2, 3)]
    contract = Contract.from_metadata(sessions[0].get_modelmeta().custom_metadata_map, str(path))
    feed = draw_feed(contract, rows=8)
    if "image" in feed:  # smooth shapes as well as noise
        coarse = feed["image"][:4, ::16, ::16]
        feed["image"][:4] = coarse.repeat(16, 1).repeat(16, 2)[:, : feed["image"].shape[1], : feed["image"].shape[2]]

    def run(session, rows):
        return session.run(None, {each: value[rows] for each, value in feed.items()})[0]

    alone = np.concatenate([run(sessions[0], slice(row, row + 1)) for row in range(8)])
    for session in sessions[1:]:
        for row in range(2, 6):
            np.testing.assert_array_equal(run(session, slice(row, row + 1))[0], alone[row])
    for session, size in ((sessions[0], 2), (sessions[0], 4), (sessions[0], 8), (sessions[1], 8)):
        np.testing.assert_array_equal(run(session, slice(size)), alone[:size])


@pytest.mark.parametrize("name, version", VERSIONS)
def test_outputs_are_alive(name, version):
    """Different inputs give different, finite outputs; embeddings have length one."""
    path = resolved(name, version)
    session = open_session(path.read_bytes())
    contract = Contract.from_metadata(session.get_modelmeta().custom_metadata_map, str(path))
    (output,) = session.run(None, draw_feed(contract, rows=2))
    assert np.isfinite(output).all() and not np.array_equal(output[0], output[1])
    if contract.output == "embedding":
        assert np.linalg.norm(output, axis=1) == pytest.approx(1, abs=1e-5)
