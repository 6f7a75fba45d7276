"""Nobody's answer depends on who else asks: rows in a batch and requests at one time give what each gives alone."""

import io
import json
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from export.repository import Repository
from service.batching import Unobserved
from service.cancellation import Cancellation
from service.engine import row_lane
from service.models import OnnxModel, Row
from service.policy import Costs, Ticket
from service.settings import Settings
from tests.processes import Process, serving

BUNDLED = Path(__file__).resolve().parents[2] / "models"
BUCKETS = Costs({1: 1.0, 2: 1.2, 4: 1.6, 8: 2.4})
CLIENTS = 8
ROUNDS = 3


class Runs(Unobserved):
    """The sizes that were run."""

    def __init__(self) -> None:
        self.buckets: set[int] = set()

    def ran(self, lane: str, rows: int, bucket: int, seconds: float) -> None:
        self.buckets.add(bucket)


def crops(photos: list[bytes], model: OnnxModel, count: int) -> list[Row]:
    """Faces with noise over them, no two alike, each with controls from all over their ranges."""
    contract, rng = model.contract, np.random.default_rng(0)
    assert contract.template is not None
    size = contract.template.width, contract.template.height
    faces = [np.asarray(Image.open(io.BytesIO(photo)).convert("RGB").resize(size), np.int16) for photo in photos]
    noisy = [faces[index % len(faces)] + rng.integers(-60, 60, faces[0].shape) for index in range(count)]
    return [
        Row(np.clip(image, 0, 255).astype(np.uint8), {each.name: each.draw(rng) for each in contract.controls})
        for image in noisy
    ]


@pytest.mark.parametrize("name", ["caricature", "sphereface"])
def test_a_row_is_the_same_in_any_company(
    name: str, photo: bytes, smiling: bytes, stranger: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random mixes in buckets of 1 to 8, with rows that are cancelled and rows that fail: bit by bit the row alone."""
    model, chance, runs = OnnxModel(Repository(BUNDLED).resolve(name), Settings(threads=1)), random.Random(0), Runs()
    rows = crops([photo, smiling, stranger], model, 10)
    alone, run, complete = [model.run([row])[0] for row in rows], model.run, threading.Event()
    broken = Row(np.zeros((1, 1, 3), np.uint8), rows[0].values)  # no crop of the model's

    def held(rows: Sequence[Row]) -> list[Any]:
        complete.wait(30)  # so that the first row runs alone, and the others wait for it together
        return run(rows)

    monkeypatch.setattr(model, "run", held)
    model.costs = BUCKETS
    with closing(row_lane(model, capacity=100, observer=runs)) as lane:
        for company in (0, 1, 2, 3, 4, 6, 8, 8, 10):
            complete.clear()
            chosen = [chance.randrange(len(rows)) for _ in range(1 + company)]
            jobs = [lane.submit(rows[index], Ticket(time.monotonic(), 1.0), Cancellation()) for index in chosen]
            failing = [
                lane.submit(broken, Ticket(time.monotonic(), 1.0), Cancellation()) for _ in range(company % 3 // 2)
            ]
            leaving = [job for job in jobs if chance.random() < 0.2]
            for job in leaving[::2]:
                job.cancellation.cancel()
            complete.set()
            for job in leaving[1::2]:
                job.cancellation.cancel()
            for index, job in zip(chosen, jobs, strict=True):
                if job not in leaving:
                    np.testing.assert_array_equal(job.future.result(30), alone[index])
            assert all(isinstance(job.future.exception(30), ValueError) for job in failing)
    assert runs.buckets == set(BUCKETS.seconds)


@pytest.fixture(scope="module", name="bundled")
def bundled_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The service with the models that come with it."""
    with serving(BUNDLED, tmp_path_factory.mktemp("bundled"), LIKENESS_DEADLINE="60") as service:
        yield service


def side_by_side(*photos: bytes) -> bytes:
    """One photo of all of them."""
    opened = [Image.open(io.BytesIO(photo)).convert("RGB") for photo in photos]
    group = Image.new("RGB", (sum(each.width for each in opened), max(each.height for each in opened)))
    for number, each in enumerate(opened):
        group.paste(each, (sum(before.width for before in opened[:number]), 0))
    buffer = io.BytesIO()
    group.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def told(answer: httpx2.Response) -> Any:
    """The answer without what is the request's own: its id, and how long it took."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"] != "application/json":
        return sorted(each for each in answer.headers.items() if each[0].startswith("x-likeness-")), answer.content
    members = answer.json()
    del members["id"], members["timings"]
    return json.dumps(members)


def test_a_request_is_answered_the_same_in_any_company(
    bundled: Process, photo: bytes, smiling: bytes, stranger: bytes
) -> None:
    """Eight clients at once with other photos, controls and kinds of answers: each gets what it got alone."""
    group = side_by_side(photo, stranger)
    png = {"format": "png"}
    asked: list[tuple[str, Mapping[str, bytes], Mapping[str, str]]] = [
        ("/translate", {"image": photo}, png),
        ("/translate", {"image": photo}, {**png, "strength": "2.5", "style": "ink"}),
        ("/translate", {"image": smiling}, {**png, "strength": "0.3", "seed": "7"}),
        ("/translate", {"image": stranger}, {**png, "style": "1,-1,0.5,0,2,-2,1,0,-1,0.5"}),
        ("/translate", {"image": group}, {**png, "faces": "all", "output": "photo"}),
        ("/translate", {"image": group}, {**png, "faces": "all", "style": "poster"}),
        ("/translate", {"image": stranger}, {**png, "faces": "aligned", "identity": "false"}),
        ("/verify", {"image1": photo, "image2": smiling}, {}),
    ]

    def answered(client: httpx2.Client, number: int) -> Any:
        path, files, options = asked[number]
        return told(client.post(path, files=files, data=options))

    with httpx2.Client(base_url=bundled.address, timeout=60) as http, ThreadPoolExecutor(CLIENTS) as pool:
        alone = [answered(http, number) for number in range(len(asked))]
        assert len(set(map(str, alone))) == len(asked)
        for _ in range(ROUNDS):
            together = list(pool.map(answered, [http] * len(asked), range(len(asked))))
            assert together == alone
