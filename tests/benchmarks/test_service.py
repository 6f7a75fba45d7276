import asyncio
import functools
import itertools
from io import BytesIO

import httpx2
import pytest
from PIL import Image

from benchmarks import service as benchmark


def test_a_measurement_counts_answered_requests():
    """Rate and percentiles are those of the answered requests, in requests per second and milliseconds."""
    found = benchmark.Measurement.of("/verify", 4, [0.1] * 99 + [0.5], failed=2, seconds=20)
    assert (found.requests, found.failed, found.per_second, found.p50) == (100, 2, 5.0, 100.0)
    assert 100 < found.p99 <= 500


def test_a_route_that_never_answers_is_no_crash():
    """Where every request fails there is no latency, and the failures are told."""
    found = benchmark.Measurement.of("/verify", 4, [], failed=3, seconds=1)
    assert found.failed == 3 and found.requests == 0


def test_photos_are_jpeg_files_of_one_size():
    """What clients send is what the result's text says: JPEG of SIDE x SIDE pixels, at least two of them."""
    pictures = [Image.open(BytesIO(file)) for file in benchmark.photos()]
    assert len(pictures) >= 2
    assert {(picture.format, picture.size) for picture in pictures} == {("JPEG", (benchmark.SIDE, benchmark.SIDE))}


def test_clients_send_all_photos_in_turn():
    """/translate gets every photo, /verify every neighbouring pair."""
    files = [b"a", b"b", b"c"]
    singles = itertools.islice(benchmark.requests("/translate", files), 3)
    assert [form["image"][1] for form in singles] == files
    pairs = itertools.islice(benchmark.requests("/verify", files), 3)
    assert [(form["image1"][1], form["image2"][1]) for form in pairs] == [(b"a", b"b"), (b"b", b"c"), (b"c", b"a")]


def test_failed_answers_are_not_counted_as_work(monkeypatch):
    """A busy service's 503 is a failure, not a fast request."""
    statuses = itertools.cycle([200, 503])
    transport = httpx2.MockTransport(lambda _: httpx2.Response(next(statuses)))
    client = functools.partial(httpx2.AsyncClient, transport=transport)
    monkeypatch.setattr(benchmark.httpx2, "AsyncClient", client)
    found = asyncio.run(benchmark.served(httpx2.URL("http://test"), "/translate", 1, [b"a"], 0.05))
    assert found.requests > 0 and found.requests == pytest.approx(found.failed, abs=1)


def test_the_machine_is_described_without_names():
    """CPU, cores and versions are told; the host's name is not."""
    machine = benchmark.machine()
    assert machine["cores"] >= 1 and machine["cpu"]
    assert benchmark.platform.node() not in str(machine) or not benchmark.platform.node()
