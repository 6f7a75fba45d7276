"""Whatever bytes come for a picture over HTTP: an answer or a problem of ours, from a process that stays as it was."""

import base64
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import psutil
import pytest

from service.errors import PROBLEMS
from tests.fuzz.corpus import corpus
from tests.processes import serving, until

CLIENTS = 4
KNOWN = {problem.code: problem.status for problem in PROBLEMS.values()}
SAMPLES = 10  # of the memory; the median of a half of them is the half's
# What a half may leave behind: less than a decoded photo of 12 megapixels, and in the long form less than 7 kB a file.
SLACK = 16_000_000

Way = Callable[[Sequence[str], bytes], dict[str, Any]]


def raw(_: Sequence[str], content: bytes) -> dict[str, Any]:
    """The picture is the body."""
    return {"content": content, "headers": {"Content-Type": "image/*"}}


def form(names: Sequence[str], content: bytes) -> dict[str, Any]:
    """The picture is each of the parts."""
    return {"files": dict.fromkeys(names, ("photo", content, "application/octet-stream"))}


def inline(names: Sequence[str], content: bytes) -> dict[str, Any]:
    """The picture is base64 in JSON."""
    return {"json": dict.fromkeys(names, base64.b64encode(content).decode())}


ROUTES: tuple[tuple[str, tuple[str, ...], Way], ...] = (
    ("/translate", ("image",), raw),
    ("/translate", ("image",), form),
    ("/translate", ("image",), inline),
    ("/verify", ("image1", "image2"), form),
    ("/verify", ("image1", "image2"), inline),
)


def outcome(answer: httpx2.Response) -> str:
    """ "answer", or the code of the problem; what must hold of every answer does."""
    if answer.status_code == 200:
        return "answer"
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    members = answer.json()
    assert answer.status_code == members["status"] == KNOWN[members["code"]], members
    assert answer.status_code < 500 or (answer.status_code == 503 and "retry-after" in answer.headers), members
    return str(members["code"])


def answered(address: str, numbered: Sequence[tuple[int, bytes]]) -> Counter[str]:
    """How often each outcome came of these files, sent over one connection one after the other."""
    outcomes: Counter[str] = Counter()
    with httpx2.Client(base_url=address, timeout=60) as http:
        for number, content in numbered:
            path, names, way = ROUTES[number % len(ROUTES)]
            outcomes[outcome(http.post(path, **way(names, content)))] += 1
    return outcomes


def sent(address: str, numbered: Sequence[tuple[int, bytes]]) -> Counter[str]:
    """The same for several clients at once that share the files."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = [pool.submit(answered, address, numbered[client::CLIENTS]) for client in range(CLIENTS)]
        return sum((share.result() for share in shares), Counter[str]())


def drawing(address: str, photo: bytes) -> bytes:
    """What a good photo gives."""
    answer = httpx2.post(f"{address}/translate", files={"image": photo}, data={"format": "png"}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.content


# With the default limit two files of the short corpus are photos of some size: the process grows when it has the first
# of them, and stays as large. In the long one that happens before the first sample.
@pytest.mark.parametrize(
    ("count", "max_pixels"), [(300, "1000000"), pytest.param(5000, "40000000", marks=pytest.mark.full)]
)
def test_hostile_bytes_leave_the_process_as_it_was(
    models: Path, tmp_path: Path, photo: bytes, count: int, max_pixels: str
) -> None:
    """Bad files by every route: answers or known problems, and then the same memory, files and drawing as before."""
    numbered = [(number, content) for number, (_, content) in enumerate(corpus(count, seed=0))]
    with serving(models, tmp_path, LIKENESS_MAX_PIXELS=max_pixels) as service:
        process, address = psutil.Process(service.popen.pid), service.address
        before, files = drawing(address, photo), process.num_fds()
        started, outcomes, resident = time.perf_counter(), Counter[str](), []
        for start in range(0, count, count // SAMPLES):
            outcomes += sent(address, numbered[start : start + count // SAMPLES])
            resident.append(process.memory_info().rss)
        seconds = time.perf_counter() - started
        assert drawing(address, photo) == before
        until(lambda: process.num_fds() <= files)  # the server sees a moment later that its clients have left
        assert service.popen.poll() is None and "Traceback" not in service.log
    figures = {"seconds": round(seconds), "resident": resident, "outcomes": dict(outcomes)}
    print(figures)  # pytest -rP shows them
    assert outcomes.total() == count and {"malformed-image", "no-face-found", "too-many-pixels"} <= set(outcomes)
    first, second = median(resident[: SAMPLES // 2]), median(resident[SAMPLES // 2 :])
    assert second - first <= SLACK, figures
