"""service.models: a graph that keeps its contract runs and knows what it costs, any other is refused."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from export.contract import METADATA_KEY, Contract, ContractError, ControlError
from export.repository import Entry, Repository, publish
from service import models as module
from service import sessions
from service.cancellation import Cancellation
from service.errors import ClientClosed
from service.models import OnnxModel, Row, agree, load
from service.policy import Costs
from service.providers import CPU, NAMES, Provider, ProviderUnavailable
from service.settings import Settings
from tests.conftest import ENCODER, TRANSLATOR

FACE = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


@pytest.fixture(name="entry")
def entry_(models: Path) -> Entry:
    """The toy translator, published."""
    return Repository(models).resolve("caricature")


@pytest.fixture(name="translator")
def translator_(entry: Entry) -> OnnxModel:
    """The toy, loaded."""
    return OnnxModel(entry, Settings(threads=2))


def changed(file: bytes, tmp_path: Path, metadata: dict[str, str]) -> Entry:
    """A published copy of a graph with other metadata."""
    model = onnx.load_model_from_string(file)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    return publish(tmp_path, "toy", 1, {"model.onnx": model.SerializeToString()})


def test_rows_of_a_batch_are_what_they_are_alone(translator: OnnxModel) -> None:
    """Row i of a batch of mixed requests equals row i run alone, on one core or on all."""
    rows = [Row(FACE, {"strength": value, "warmth": value / 3}) for value in (0, 0.5, 1, 3)]
    together = translator.run(rows)
    for row, output in zip(rows, together, strict=True):
        np.testing.assert_array_equal(translator.run([row])[0], output)
        np.testing.assert_array_equal(translator.run([row], wide=True)[0], output)
    np.testing.assert_array_equal(together[0], FACE)


def test_callers_side_by_side_get_their_own(translator: OnnxModel) -> None:
    """Threads that run the same model at the same time get what each of them asked for."""
    wrong = []

    def ask(strength: float) -> None:
        row = Row(FACE, {"strength": strength})
        expected = np.clip(FACE + strength * (255 - 2.0 * FACE), 0, 255).astype(np.uint8)
        wrong.extend(not np.array_equal(translator.run([row])[0], expected) for _ in range(20))

    threads = [threading.Thread(target=ask, args=(strength,)) for strength in (0.0, 0.5, 1.0, 2.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 80 and not any(wrong)


def test_a_warm_model_knows_what_it_costs(entry: Entry) -> None:
    """The costs are measured: one row always, batches up to the limit, and a lone row only where it is wider."""
    model = load(entry, Settings(threads=2, max_batch=2))
    assert set(model.costs.seconds) <= {1, 2} and model.costs.seconds[1] > 0
    assert model.costs.lone is None or model.costs.lone < model.costs.seconds[1]
    assert load(entry, Settings(threads=1)).costs.lone is None
    assert (model.device, model.provider, model.precision) == ("cpu", "CPUExecutionProvider", "float32")
    assert model.memory >= entry.path("model.onnx").stat().st_size


class Told(OnnxModel):
    """Is told how long runs took, by session and number of rows; batches and wide runs may come out shifted."""

    took: dict[tuple[bool, int], float]
    shift = 0

    def _measured(self, session, runs):
        outputs, _ = super()._measured(session, runs)
        wide, size = session is not self._session, len(runs[0])
        return [output + self.shift * (wide or size > 1) for output in outputs], self.took[wide, size]


def test_a_busy_moment_does_not_cost_a_lone_request_its_cores(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """All cores are measured again where they were no gain: what else ran meanwhile says nothing of the model."""
    tries = iter([0.03, 0.02, 0.021, 0.01])

    class Disturbed(OnnxModel):
        def _measured(self, session, runs):
            outputs, _ = super()._measured(session, runs)
            return outputs, 0.02 * len(runs[0]) if session is self._session else next(tries)

    monkeypatch.setattr("service.models.PAUSE", 0.0)
    model = Disturbed(entry, Settings(threads=2))
    model.warm_up()
    assert model.costs.lone == 0.01


@pytest.mark.parametrize(
    "took, shift, buckets, widens",
    [
        ({(False, 1): 0.02, (False, 2): 0.03, (False, 4): 0.04, (True, 1): 0.01}, 0, {1, 2, 4}, True),
        ({(False, 1): 0.02, (False, 2): 0.03, (False, 4): 0.06, (True, 1): 0.01}, 0, {1, 2}, True),
        ({(False, 1): 0.02, (False, 2): 0.039, (True, 1): 0.019}, 0, {1}, False),
        ({(False, 1): 0.02, (False, 2): 0.03, (True, 1): 0.01}, 1, {1}, False),
    ],
    ids=["worth it", "two are", "not worth it", "not the same"],
)
def test_only_what_pays_and_changes_nothing_is_kept(
    entry: Entry, took: dict[tuple[bool, int], float], shift: int, buckets: set[int], widens: bool
) -> None:
    """Batches and all cores are used only where a row gets cheaper by them and comes out bit by bit the same."""
    model = Told(entry, Settings(threads=2))
    model.took, model.shift = took, shift
    both = model.memory
    model.warm_up()
    assert set(model.costs.seconds) == buckets and (model.costs.lone is not None) is widens
    assert (model.memory == both) is widens  # a session that is not used is not kept
    model.run([Row(FACE, {})], wide=True)  # allowed in any case


def test_a_run_ends_when_nobody_waits_for_it(translator: OnnxModel) -> None:
    """What was cancelled stops at its next node with ClientClosed, and the model works on for everyone else."""
    before = translator.run([Row(FACE, {})])[0]
    gone = Cancellation()
    gone.cancel()
    with pytest.raises(ClientClosed):
        translator.run([Row(FACE, {})], cancellation=gone)
    here = Cancellation()
    np.testing.assert_array_equal(translator.run([Row(FACE, {})], cancellation=here)[0], before)
    here.cancel()  # too late to matter
    np.testing.assert_array_equal(translator.run([Row(FACE, {})])[0], before)


def test_a_run_under_way_is_stopped(translator: OnnxModel) -> None:
    """A client that leaves while the graph runs does not have it run to its end."""
    rows = [Row(FACE, {})] * 64
    cancellation = Cancellation()
    timer = threading.Timer(0.002, cancellation.cancel)
    timer.start()
    with pytest.raises(ClientClosed):
        for _ in range(1000):  # whichever run is under way then
            translator.run(rows, cancellation=cancellation)
    timer.join()
    assert len(translator.run(rows)) == 64


class Device(sessions.Session):
    """The CPU behind the face of a device, with something wrong added to each output."""

    error = 0.0

    def __init__(self, path, *, threads=1, providers=((NAMES["cpu"], {}),)) -> None:
        super().__init__(path, threads=threads)
        self.on_cpu = providers[0][0] == NAMES["cpu"]
        self.sizes: list[int] = []

    def run(self, feed, cancellation=None, *, shrink=False):
        self.sizes.append(len(feed["image"]))
        output = super().run(feed, cancellation, shrink=shrink)
        noise = 0 if self.on_cpu else np.sign(np.arange(output.size) % 2 - 0.5).reshape(output.shape) * self.error
        return np.clip(output + noise, 0, 255).astype(output.dtype)


@pytest.fixture(name="device")
def device_(monkeypatch: pytest.MonkeyPatch) -> type[Device]:
    """A machine where CUDA is there, and is called by the class that is given."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [NAMES["cuda"], NAMES["cpu"]])
    monkeypatch.setattr(module, "require_libraries", lambda device: None)
    monkeypatch.setattr(module, "Session", Device)
    monkeypatch.setattr(Device, "error", 0.0)
    return Device


def test_batches_of_a_device_are_filled_up(device: type[Device], entry: Entry) -> None:
    """A run is of a measured size only, and the rows that fill it up are nobody's and given to nobody."""
    model = OnnxModel(entry, Settings(max_batch=8))
    assert (model.device, model.provider) == ("cuda", NAMES["cuda"])
    model.costs = Costs({1: 0.01, 4: 0.02})
    session = model._session
    rows = [Row(FACE, {"strength": value}) for value in (0.0, 0.5, 1.0)]
    session.sizes.clear()
    outputs = model.run(rows)
    assert session.sizes == [4] and len(outputs) == 3
    for row, output in zip(rows, outputs, strict=True):
        np.testing.assert_array_equal(model.run([row])[0], output)
    assert session.sizes == [4, 1, 1, 1]


def test_a_device_that_computes_something_else_is_not_served(
    device: type[Device], entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs beyond the tolerance put the model back on the CPU, or are an error where the device was demanded."""
    monkeypatch.setattr(device, "error", 9.0)
    assert OnnxModel(entry, Settings(max_batch=2)).device == "cpu"
    with pytest.raises(ProviderUnavailable, match="differs"):
        OnnxModel(entry, Settings(provider="cuda"))


def test_fewer_bits_are_served_only_where_they_suffice(
    device: type[Device], entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With reduced precision that is too far off, the same device computes in float32."""
    tried: list[Provider] = []

    def chain(provider, *rest, **options):
        tried.append(provider)
        device.error = 20.0 if provider.precision != "float32" else 0.5
        return [(provider.name, {})]

    monkeypatch.setattr(module, "chain", chain)
    model = OnnxModel(entry, Settings(reduced_precision=True))
    assert tried == [Provider("cuda", "tf32"), Provider("cuda")]
    assert (model.device, model.precision) == ("cuda", "float32")


def test_a_device_that_does_not_answer_is_passed_over(
    device: type[Device], entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a driver says, the CPU serves; where the device was demanded, the message says what the driver said."""

    def fail(self, *arguments, **options):
        if not self.on_cpu:
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        return sessions.Session.run(self, *arguments, **options)

    monkeypatch.setattr(device, "run", fail)
    assert OnnxModel(entry, Settings()).device == CPU.device
    with pytest.raises(ProviderUnavailable, match="no CUDA-capable device"):
        OnnxModel(entry, Settings(provider="cuda"))


def test_what_counts_as_the_same() -> None:
    """Pictures may differ by a level on the mean and by eight at most, embeddings by a thousandth of their cosine."""
    grey = [np.full((4, 4, 3), 100, np.uint8)]
    speck = [grey[0].copy()]
    speck[0][0, 0, 0] = 108
    assert agree(TRANSLATOR, grey, speck) and agree(TRANSLATOR, grey, [grey[0] + 1])
    speck[0][0, 0, 0] = 109
    assert not agree(TRANSLATOR, grey, speck) and not agree(TRANSLATOR, grey, [grey[0] + 2])
    unit = np.eye(512, dtype=np.float32)
    assert agree(ENCODER, [unit[0]], [unit[0] + 0.04 * unit[1]])
    assert not agree(ENCODER, [unit[0]], [unit[0] + 0.05 * unit[1]])
    assert not agree(ENCODER, [unit[0]], [np.full(512, np.nan, np.float32)])


def test_an_encoder_gives_unit_vectors(models: Path) -> None:
    """Embeddings have length one, whatever the crop."""
    encoder = OnnxModel(Repository(models).resolve("sphereface"), Settings())
    (vector,) = encoder.run([Row(FACE[:112, :96], {})])
    assert vector.shape == (512,) and abs(np.linalg.norm(vector) - 1) < 1e-5


def test_bad_control_values_do_not_reach_the_graph(translator: OnnxModel) -> None:
    """A value out of range is refused before anything runs."""
    with pytest.raises(ControlError):
        translator.run([Row(FACE, {"strength": 4.0})])


def test_files_that_break_their_promise_are_refused_by_name(translator_file: bytes, tmp_path: Path) -> None:
    """No contract, an unknown format, or a graph of another shape: ContractError with the file's path."""
    contract = Contract.from_metadata(
        {each.key: each.value for each in onnx.load_model_from_string(translator_file).metadata_props}, "toy"
    )
    liar = replace(contract, output_shape=(128, 128, 3))
    future = {METADATA_KEY: contract.to_metadata()[METADATA_KEY].replace('"format": 1', '"format": 2')}
    for number, metadata in enumerate(({}, future, liar.to_metadata())):
        entry = changed(translator_file, tmp_path / str(number), metadata)
        with pytest.raises(ContractError, match=r"model\.onnx"):
            OnnxModel(entry, Settings())
