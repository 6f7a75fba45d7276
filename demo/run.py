"""The service in one command: start it, draw the example photo ever stronger, verify the drawings against it, stop."""

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import httpx2
from PIL import Image

FOLDER = Path(__file__).resolve().parent
PHOTO = FOLDER / "photo.jpg"
RESULT = FOLDER / "before-after.jpg"
STRENGTHS = (0.5, 1, 2)
START_LIMIT = 60.0  # seconds until the service must be ready


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_service() -> Iterator[httpx2.Client]:
    """A client of a real service of its own, which is stopped at the end."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("likeness")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    # The service's log is for operators; what it says is shown only if it does not start.
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=FOLDER.parent, stdout=log, stderr=subprocess.STDOUT)
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                if not becomes_ready(client, process):
                    log.seek(0)
                    raise RuntimeError(f"the service did not become ready:\n{log.read().decode(errors='replace')}")
                yield client
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, and end it if it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def becomes_ready(client: httpx2.Client, process: subprocess.Popen[bytes]) -> bool:
    """Wait until every model has run once; False if the process ends before, or takes longer than START_LIMIT."""
    deadline = time.monotonic() + START_LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if client.get("/readyz").is_success:
                return True
        except httpx2.TransportError:
            pass  # the port is not open yet
        time.sleep(0.1)
    return False


def timed(client: httpx2.Client, path: str, **request: object) -> tuple[httpx2.Response, float]:
    """The answer to a POST, and its milliseconds on the wall."""
    started = time.perf_counter()
    answer = client.post(path, **request)
    milliseconds = 1000 * (time.perf_counter() - started)
    if answer.is_error:
        raise RuntimeError(f"POST {path}: {answer.status_code} {answer.text}")
    return answer, milliseconds


def side_by_side(*files: bytes) -> Image.Image:
    """Pictures at one height, beside each other."""
    pictures = [Image.open(BytesIO(data)).convert("RGB") for data in files]
    height = max(picture.height for picture in pictures)
    pictures = [picture.resize((round(picture.width * height / picture.height), height)) for picture in pictures]
    sheet = Image.new("RGB", (sum(picture.width for picture in pictures), height))
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width
    return sheet


def main() -> None:
    """Draw at each strength, verify, write the picture, print what came out."""
    photo = PHOTO.read_bytes()
    started = time.perf_counter()
    drawings, verdicts = list[bytes](), list[str]()
    with running_service() as client:
        ready = time.perf_counter() - started
        upload = {"content": photo, "headers": {"content-type": "image/jpeg", "accept": "image/png"}}
        for strength in STRENGTHS:
            drawn, draw_ms = timed(client, f"/translate?output=photo&strength={strength}", **upload)
            pair = {"image1": ("photo.jpg", photo, "image/jpeg"), "image2": ("drawing.png", drawn.content, "image/png")}
            verified, verify_ms = timed(client, "/verify", files=pair)
            identity = verified.json()
            verdict = "the same person" if identity["same_person"] else "not the same person"
            drawings.append(drawn.content)
            verdicts.append(f"strength {strength:<4} {verdict}: similarity {identity['similarity']:.3f}")
    side_by_side(photo, *drawings).save(RESULT, quality=92)

    print(f"before/after  {RESULT}")
    print("\n".join(verdicts))
    print(f"threshold     {identity['threshold']:.3f}, at a false-accept rate of {identity['far']:.0%}")
    print(f"timings       start {ready:.1f} s, translate {draw_ms:.0f} ms, verify {verify_ms:.0f} ms")


if __name__ == "__main__":
    main()
