"""A real Prometheus over a real service under load: every panel has data, every rule is evaluated. Takes a minute."""

import itertools
import json
import math
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from demo.run import free_port, running_service

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "tests" / "assets"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "likeness.json").read_text())
ADAPTER = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "prometheus-adapter.yaml").read_text())
PROMETHEUS = shutil.which("prometheus")
PHOTO = (ASSETS / "person1-neutral.jpg").read_bytes()
OTHER = (ASSETS / "person2-neutral.jpg").read_bytes()
LOAD_SECONDS = 40

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed (Debian: prometheus)"),
]


def leaving(address: tuple[str, int]) -> None:
    """A client that sends a photo and goes before the answer comes."""
    head = f"POST /translate HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: {len(PHOTO)}\r\n\r\n"
    with socket.create_connection(address) as connection:
        connection.sendall(head.encode() + PHOTO)
        time.sleep(0.05)


def acts(client: httpx2.Client) -> Iterator[Callable[[], object]]:
    """What clients do, good and bad, again and again."""
    address = (str(client.base_url.host), int(client.base_url.port or 80))
    return itertools.cycle(
        [
            lambda: client.post("/translate", files={"image": PHOTO}, data={"output": "photo"}),
            lambda: client.post("/verify", files={"image1": PHOTO, "image2": OTHER}),
            lambda: client.post("/translate", content=b"no picture", headers={"Content-Type": "image/jpeg"}),
            lambda: client.post("/translate", files={"image": PHOTO}, headers={"X-Request-Timeout": "0.01"}),
            lambda: leaving(address),
            lambda: client.get("/models"),
            lambda: client.get("/nowhere"),
        ]
    )


@contextmanager
def load(client: httpx2.Client) -> Iterator[None]:
    """Six clients at work."""
    over = threading.Event()

    def work(offset: int) -> None:
        for act in itertools.islice(acts(client), offset, None):
            if over.is_set():
                return
            act()

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(6)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[httpx2.Client]:
    """A Prometheus of our rules that scrapes `target` every second."""
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(ROOT / "deploy" / "prometheus" / name) for name in config["rule_files"]]
    (scrape,) = config["scrape_configs"]
    # The labels that a pod's series have in a cluster.
    scrape["static_configs"] = [{"targets": [target], "labels": {"namespace": "here", "pod": "likeness-1"}}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(PROMETHEUS),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            with httpx2.Client(base_url=f"http://{address}/api/v1", timeout=30) as client:
                yield client
        finally:
            process.terminate()


def result(answer: httpx2.Response) -> list[dict[str, Any]]:
    """The series of an answer; the error of Prometheus if there is one."""
    content = answer.json()
    assert content["status"] == "success", content
    found: list[dict[str, Any]] = content["data"]["result"]
    return found


def has_numbers(series: list[dict[str, Any]]) -> bool:
    """Whether a point of any series is a number."""
    return any(not math.isnan(float(value)) for each in series for _, value in each["values"])


def test_every_panel_has_data_and_every_rule_is_evaluated(tmp_path: Path) -> None:
    """Good answers, problems, refusals, clients that leave: after them no query of ours is empty or an error."""
    with running_service() as service, prometheus(tmp_path, service.base_url.netloc.decode()) as api:
        with load(service):
            time.sleep(LOAD_SECONDS)
        now = time.time()
        empty = []
        for panel in DASHBOARD["panels"]:
            for target in panel.get("targets", ()):
                query = target["expr"].replace("$__rate_interval", "10s").replace("$job", "likeness")
                window = {"query": query, "start": now - 0.6 * LOAD_SECONDS, "end": now, "step": 1}
                if not has_numbers(result(api.get("/query_range", params=window))):
                    empty.append((panel["title"], query))
        assert not empty
        (rule,) = ADAPTER["rules"]
        query = rule["metricsQuery"].replace("<<.GroupBy>>", "namespace, pod").replace("<<.LabelMatchers>>", "")
        (wait,) = result(
            api.get("/query", params={"query": query.replace("<<.Series>>", rule["seriesQuery"].partition("{")[0])})
        )
        assert wait["metric"] == {"namespace": "here", "pod": "likeness-1"}
        groups = api.get("/rules").json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert rules and {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"} == {}
        recorded = {rule["name"] for rule in rules if rule["type"] == "recording"}
        assert {name for name in recorded if not result(api.get("/query", params={"query": name}))} == set()
