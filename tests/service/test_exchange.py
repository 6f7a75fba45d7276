"""service.api.exchange: deadlines and departures end to end, with what they cost."""

import io
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(name="crop")
def crop_(client: TestClient, photo: bytes) -> bytes:
    """A face as the toy's template cuts it, without loss."""
    answer = client.post("/translate", files={"image": photo}, data={"strength": 0}, headers={"accept": "image/png"})
    return answer.content


def test_a_crop_is_drawn_without_a_search(client: TestClient, crop: bytes) -> None:
    """faces=aligned draws exactly the pixels that it is given, even where there is no face in them."""
    grey = io.BytesIO()
    Image.new("RGB", (256, 256), (90, 100, 110)).save(grey, "PNG")
    for content in (crop, grey.getvalue()):
        options = {"faces": "aligned", "strength": 1, "identity": "false"}
        answer = client.post("/translate", files={"image": content}, data=options, headers={"accept": "image/png"})
        before, after = (np.asarray(Image.open(io.BytesIO(each))).astype(int) for each in (content, answer.content))
        assert np.array_equal(after, 255 - before)
        assert "detect" in answer.headers["server-timing"] and "x-likeness-similarity" not in answer.headers


def test_a_crop_of_another_size_is_resized(client: TestClient, crop: bytes) -> None:
    """An aligned picture of twice the size gives a drawing of the template's size, and an identity score."""
    large = io.BytesIO()
    Image.open(io.BytesIO(crop)).resize((512, 512)).save(large, "PNG")
    options = {"faces": "aligned", "strength": 0}
    answer = client.post("/translate", files={"image": large.getvalue()}, data=options)
    assert Image.open(io.BytesIO(answer.content)).size == (256, 256)
    assert float(answer.headers["x-likeness-similarity"]) > 0.9


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan", ""])
def test_a_timeout_that_is_no_positive_number_is_refused(client: TestClient, photo: bytes, seconds: str) -> None:
    """X-Request-Timeout takes seconds; anything else is a bad parameter that names the header."""
    answer = client.post("/translate", content=photo, headers={**JPEG, "x-request-timeout": seconds})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-parameter")
    assert answer.json()["errors"] == [{"pointer": "#/X-Request-Timeout"}]


def test_a_deadline_that_passes_in_the_work_is_told(client: TestClient, photo: bytes) -> None:
    """A request that cannot be finished in its time is a 504 that says where it was, and the next one is served."""
    for _ in range(3):
        answer = client.post("/translate", content=photo, headers={**JPEG, "x-request-timeout": "0.001"})
        assert (answer.status_code, answer.json()["code"]) == (504, "deadline-exceeded")
    assert client.post("/translate", content=photo, headers={**JPEG, "x-request-timeout": "60"}).is_success


def test_clients_that_leave_the_queue_cost_nothing(
    live: Any, eventually: Callable[[Callable[[], bool]], None], photo: bytes
) -> None:
    """Of eight requests six leave while they wait: their photos are never opened, the two that stay are answered."""
    head = f"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(photo)}\r\n\r\n"
    left, wasted = 'likeness_requests_cancelled_total{stage="queue"}', "likeness_wasted_seconds_total"
    before = live.metric(left), live.metric(wasted)
    answers: list[httpx2.Response] = []

    def stay() -> None:
        answers.append(httpx2.post(f"{live.address}/translate", content=photo, headers=JPEG, timeout=30))

    staying = [threading.Thread(target=stay) for _ in range(2)]
    with live.gate.closed():
        for thread in staying:
            thread.start()
        eventually(lambda: len(live.gate.reached) == 2)
        leaving = [socket.create_connection(("127.0.0.1", live.port)) for _ in range(6)]
        for connection in leaving:
            connection.sendall(head.encode() + photo)
        eventually(lambda: live.metric('likeness_queue_depth{lane="cpu"}') == 6)
        for connection in leaving:
            connection.close()
        time.sleep(0.1)
    for thread in staying:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200]
    eventually(lambda: live.metric(left) == before[0] + 6)
    assert len(live.gate.reached) == 2
    assert live.metric(wasted) < before[1] + 0.05
