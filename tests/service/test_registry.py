"""service.registry: models come, go and change their version, and no request that has one notices."""

import gc
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.contract import ContractError
from export.repository import Entry, Repository, publish
from service.cancellation import Cancellation
from service.engine import Served, row_lane
from service.errors import ModelKept, ModelNotFound, ModelTooLarge, ModelUnsound
from service.models import Row
from service.policy import Costs, Ticket
from service.registry import RETRY_AFTER, Registry, State
from service.telemetry import Telemetry
from tests.conftest import TRANSLATOR

MEMORY = 100


class Toy:
    """A model that does nothing; its file holds its memory in bytes."""

    contract = TRANSLATOR
    device = provider = "cpu"
    costs = Costs({1: 0.001})

    def __init__(self, entry: Entry) -> None:
        content = entry.path("model.onnx").read_text()
        if content == "broken":
            raise ContractError(f"{entry.path('model.onnx')}: inputs are wrong")
        self.name, self.version, self.digest = entry.name, entry.version, entry.files["model.onnx"]
        self.memory = int(content.split()[0])

    def run(
        self, rows: Sequence[Row], *, wide: bool = False, cancellation: Cancellation | None = None
    ) -> list[NDArray[Any]]:
        return [np.zeros(1) for _ in rows]


class Clock:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Loads:
    """Loads toys, remembers which, and waits at the gate."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()

    def __call__(self, entry: Entry) -> Served:
        self.begun.set()
        self.gate.wait(10)
        self.labels.append(f"{entry.name}/{entry.version}")
        return Served(Toy(entry))


@pytest.fixture(name="root")
def root_(tmp_path: Path) -> Path:
    """A repository of three models; `a` has two versions."""
    for name, version in (("a", 1), ("a", 2), ("b", 1), ("c", 1)):
        publish(tmp_path, name, version, {"model.onnx": f"{MEMORY} {name}{version}".encode()})
    publish(tmp_path, "landmarks", 1, {"model.dat": b"no network"})
    return tmp_path


@pytest.fixture(name="loads")
def loads_() -> Loads:
    """What was loaded."""
    return Loads()


@pytest.fixture(name="clock")
def clock_() -> Clock:
    """The registry's clock."""
    return Clock()


Make = Callable[..., Registry]


@pytest.fixture(name="make")
def make_(root: Path, loads: Loads, clock: Clock) -> Iterator[Make]:
    """Makes registries over the repository, and closes them."""
    made: list[Registry] = []

    def make(preload: Sequence[str] | None = None, load: Callable[[Entry], Served] = loads, **options: Any) -> Registry:
        registry = Registry(Repository(root), load, Telemetry(), clock=clock, **options)
        made.append(registry)
        registry.start(preload)
        return registry

    yield make
    for registry in made:
        registry.close()


def labels(registry: Registry) -> list[str]:
    """What is in memory."""
    return [served.label for served in registry.served.values()]


def states(registry: Registry) -> dict[str, State]:
    """How it is with every model."""
    return {standing.name: standing.state for standing in registry.standings()}


# Start


def test_all_networks_are_loaded_at_start_in_their_highest_version(make: Make) -> None:
    """Without a list everything that is a network is there; what is none is not a model that could be named."""
    registry = make()
    assert labels(registry) == ["a/2", "b/1", "c/1"]
    assert [(each.name, each.versions, each.state) for each in registry.standings()] == [
        ("a", (1, 2), State.READY),
        ("b", (1,), State.READY),
        ("c", (1,), State.READY),
    ]
    with pytest.raises(ModelNotFound):
        registry.demand("landmarks")


def test_a_list_loads_its_models_and_those_that_are_kept_at_start(make: Make, loads: Loads) -> None:
    """The others are loaded when they are named for the first time, and stay."""
    registry = make(["b"], kept=["a", "no such model"])
    assert labels(registry) == ["a/2", "b/1"] and registry.get("c") is None
    assert states(registry)["c"] is State.ON_DEMAND
    served = registry.demand("c").result(10)
    assert registry.demand("c").result(10) is served is registry.get("c")
    assert loads.labels == ["a/2", "b/1", "c/1"]


def test_a_model_that_is_not_sound_stops_the_start(make: Make, root: Path) -> None:
    """With its own error, which names the file: nobody but the operator reads it."""
    publish(root, "d", 1, {"model.onnx": b"broken"})
    with pytest.raises(ContractError, match=r"d/1/model\.onnx"):
        make()


# Load and unload


def test_a_version_takes_the_place_of_another_and_a_request_keeps_what_it_had(make: Make) -> None:
    """After a load the name means the new version; what was handed out before is what it was."""
    registry = make()
    before = registry.get("a")
    assert before is not None and before.label == "a/2"
    assert registry.load("a", 1).result(10).label == "a/1"
    assert before.label == "a/2" and labels(registry)[0] == "a/1"
    assert registry.load("a").result(10).label == "a/2"


def test_the_version_that_is_served_is_not_loaded_again(make: Make, loads: Loads) -> None:
    """To load what is there already changes nothing and costs nothing."""
    registry = make()
    before = registry.get("a")
    assert registry.load("a").result(10) is before
    assert loads.labels == ["a/2", "b/1", "c/1"]


def test_a_version_that_was_published_later_can_be_loaded(make: Make, root: Path) -> None:
    """A new version of a name, or a new name, needs no restart."""
    registry = make()
    publish(root, "a", 3, {"model.onnx": b"100 a3"})
    publish(root, "d", 1, {"model.onnx": b"100 d1"})
    assert registry.load("a").result(10).label == "a/3"
    assert states(registry)["d"] is State.UNLOADED
    with pytest.raises(ModelNotFound):
        registry.demand("d")
    assert registry.load("d").result(10) is registry.get("d")


@pytest.mark.parametrize("lane", [False, True])
def test_what_was_replaced_is_freed_with_the_last_request_that_has_it(make: Make, lane: bool) -> None:
    """While somebody holds the old version it works; then it is gone without a collection, and its lane is closed."""

    def load(entry: Entry) -> Served:
        model = Toy(entry)
        return Served(model, row_lane(model, capacity=10) if lane else None)

    registry = make(load=load)
    before = len([thread for thread in threading.enumerate() if thread.name.startswith("a-")])
    held = registry.get("a")
    assert held is not None
    model = weakref.ref(held.model)
    gc.collect()
    gc.disable()
    try:
        registry.load("a", 1).result(10)
        if held.lane is not None:
            job = held.lane.submit(Row(None, {}), Ticket(time.monotonic(), 0.0), Cancellation())
            assert job.future.result(10).shape == (1,)
            del job
        assert model() is not None
        del held
        for _ in range(1000):
            if model() is None:
                break
            time.sleep(0.005)
        assert model() is None
    finally:
        gc.enable()
    assert len([thread for thread in threading.enumerate() if thread.name.startswith("a-")]) == before


def test_an_unloaded_model_is_not_there_until_it_is_loaded(make: Make, loads: Loads) -> None:
    """An administrator's unload is no pause: requests do not bring the model back, a load does."""
    registry = make()
    held = registry.get("b")
    registry.unload("b").result(10)
    assert registry.get("b") is None and states(registry)["b"] is State.UNLOADED
    with pytest.raises(ModelNotFound):
        registry.demand("b")
    assert held is not None and held.model.run([Row(None, {})])
    registry.unload("b").result(10)
    assert registry.load("b").result(10) is registry.get("b") is not held


def test_what_is_kept_is_not_unloaded(make: Make) -> None:
    """The default translator and the encoder can be replaced, not taken away."""
    registry = make(kept=["a"])
    with pytest.raises(ModelKept):
        registry.unload("a").result(10)
    assert registry.load("a", 1).result(10) is registry.get("a")


def test_what_does_not_exist_is_not_found(make: Make) -> None:
    """A name, a version, a folder that is no network, a path: all are ModelNotFound, and nothing else happens."""
    registry = make()
    for name, version in (("d", None), ("a", 3), ("landmarks", None), ("../a", None)):
        with pytest.raises(ModelNotFound):
            registry.load(name, version).result(10)
    with pytest.raises(ModelNotFound):
        registry.unload("d").result(10)
    assert labels(registry) == ["a/2", "b/1", "c/1"]


def test_a_load_that_fails_leaves_what_is_served(make: Make, root: Path) -> None:
    """Changed files, broken manifests, broken contracts and what a runtime raises are told without a path."""
    registry = make()
    for version, content in ((3, b"100 a3"), (4, b"100 a4"), (5, b"broken"), (6, b"no number")):
        publish(root, "a", version, {"model.onnx": content})
    (root / "a" / "3" / "model.onnx").write_bytes(b"something else")
    (root / "a" / "4" / "manifest.json").write_bytes(b"{")
    said = []
    for version in (3, 4, 5, 6):
        with pytest.raises(ModelUnsound) as caught:
            registry.load("a", version).result(10)
        said.append(caught.value.detail)
        assert str(root) not in str(caught.value.__dict__) and caught.value.__context__ is None
    assert said[0] == "a/3/model.onnx is not the file that was published"
    assert said[1].startswith("a/4/manifest.json: ")
    assert said[2] == "a/5/model.onnx: inputs are wrong"
    assert said[3] == "the runtime cannot load it (ValueError)"
    assert labels(registry)[0] == "a/2" and states(registry)["a"] is State.READY


def test_telemetry_knows_what_is_served(root: Path, loads: Loads) -> None:
    """Every served version is 1, every earlier one 0, and each load was timed."""
    telemetry = Telemetry()
    registry = Registry(Repository(root), loads, telemetry)
    registry.start()
    registry.load("a", 1).result(10)
    registry.unload("b").result(10)
    registry.close()
    told = {
        (sample.labels["name"], sample.labels["version"]): sample.value
        for family in telemetry.model_info.collect()
        for sample in family.samples
    }
    assert told == {("a", "2"): 0, ("a", "1"): 1, ("b", "1"): 0, ("c", "1"): 1}
    assert telemetry.registry.get_sample_value("likeness_model_load_seconds_count", {"model": "a"}) == 2


# On demand


def test_many_requests_wait_for_one_load(make: Make, loads: Loads) -> None:
    """However many name a model while it is loaded: it is loaded once, and they all get the same."""
    registry = make([])
    loads.gate.clear()
    waiting = [registry.demand("a") for _ in range(100)]
    assert not any(future.done() for future in waiting)
    loads.gate.set()
    assert len({id(future.result(10)) for future in waiting}) == 1
    assert loads.labels == ["a/2"]


def test_what_is_there_is_not_looked_for(make: Make, root: Path) -> None:
    """A request that comes just after the load asks nothing of the disk."""
    registry = make()
    shutil.rmtree(root / "a")
    assert registry.demand("a").result(10) is registry.get("a")
    assert [each.label for each in registry.served.values()] == [
        each.served.label for each in registry.standings() if each.served is not None
    ]


def test_what_cannot_be_loaded_is_not_tried_again_at_once(make: Make, root: Path, clock: Clock) -> None:
    """Who names a broken model is told so without its file being read each time; after a while it is tried again."""
    opened: list[int] = []

    def load(entry: Entry) -> Served:
        opened.append(entry.version)
        return Served(Toy(entry))

    publish(root, "d", 1, {"model.onnx": b"broken"})
    registry = make([], load)
    for _ in range(3):
        with pytest.raises(ModelUnsound, match="inputs are wrong"):
            registry.demand("d").result(10)
    (standing,) = (each for each in registry.standings() if each.name == "d")
    assert opened == [1] and (standing.state, standing.reason) == (State.FAILED, "d/1/model.onnx: inputs are wrong")
    clock.now += RETRY_AFTER
    with pytest.raises(ModelUnsound):
        registry.demand("d").result(10)
    assert opened == [1, 1]


def test_an_idle_model_goes_and_comes_back_in_its_version(make: Make, clock: Clock) -> None:
    """What nobody names for the time to live is unloaded unless it is kept; the next request gets the same version."""
    registry = make(kept=["a"], idle_ttl=60)
    registry.load("b", 1).result(10)
    clock.now += 50
    assert registry.get("b") is not None
    clock.now += 50
    registry.unload_idle().result(10)
    assert labels(registry) == ["a/2", "b/1"] and states(registry)["c"] is State.ON_DEMAND
    clock.now += 100
    registry.unload_idle().result(10)
    assert labels(registry) == ["a/2"]
    assert registry.demand("c").result(10).label == "c/1"


def test_an_idle_model_comes_back_as_it_was(make: Make, clock: Clock) -> None:
    """A version that was chosen is not replaced by a higher one because nobody came for a while."""
    registry = make(idle_ttl=60)
    registry.load("a", 1).result(10)
    with pytest.raises(ModelNotFound):
        registry.load("a", 9).result(10)
    clock.now += 100
    registry.unload_idle().result(10)
    assert labels(registry) == []
    with pytest.raises(ModelNotFound):
        registry.load("a", 9).result(10)
    assert states(registry)["a"] is State.ON_DEMAND and registry.demand("a").result(10).label == "a/1"


def test_idle_models_go_without_being_told_to(root: Path, loads: Loads) -> None:
    """The time to live is looked at by the registry itself."""
    registry = Registry(Repository(root), loads, Telemetry(), idle_ttl=0.02)
    registry.start()
    for _ in range(500):
        if not registry.served:
            break
        time.sleep(0.01)
    assert not registry.served
    registry.close()


# Memory


def test_room_is_made_by_what_was_not_used_for_longest(make: Make, clock: Clock) -> None:
    """A load within the budget unloads the least recently used of those that are not kept, and no more than it must."""
    registry = make(["b", "c"], max_memory=3 * MEMORY - 1, kept=["b"])
    clock.now += 1
    registry.get("b")
    registry.demand("a").result(10)
    assert labels(registry) == ["a/2", "b/1"]
    clock.now += 1
    registry.demand("c").result(10)
    assert labels(registry) == ["b/1", "c/1"]


def test_least_recently_used_is_by_requests(make: Make, clock: Clock) -> None:
    """Of two that could go, the one that was named last stays."""
    registry = make(["b", "c"], max_memory=2 * MEMORY)
    clock.now += 1
    registry.get("b")
    registry.demand("a").result(10)
    assert labels(registry) == ["a/2", "b/1"]


def test_what_cannot_fit_unloads_nothing(make: Make, root: Path) -> None:
    """A model that is too large beside what is kept is refused before anything is unloaded for it."""
    registry = make(["b", "c"], max_memory=3 * MEMORY, kept=["b"])
    publish(root, "a", 3, {"model.onnx": b"201 a3"})
    for _ in range(2):  # its memory is known only once it was loaded, and remembered then
        with pytest.raises(ModelTooLarge, match="301 of 300"):
            registry.load("a").result(10)
    assert labels(registry) == ["b/1", "c/1"]


def test_both_versions_must_fit_while_one_takes_over(make: Make) -> None:
    """A replacement is loaded beside what it replaces, so that its place is counted too."""
    registry = make(["a"], max_memory=2 * MEMORY - 1)
    with pytest.raises(ModelTooLarge):
        registry.load("a", 1).result(10)
    assert labels(registry) == ["a/2"]
