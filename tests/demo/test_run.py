import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from demo import run

ROOT = Path(__file__).resolve().parents[2]


def as_png(width: int, height: int, colour: str) -> bytes:
    """A file of one colour."""
    buffer = BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_before_stands_left_of_after_at_one_height():
    """Pictures of different sizes are brought to the taller one's height and keep their shape."""
    sheet = run.side_by_side(as_png(40, 20, "red"), as_png(80, 80, "blue"))
    assert sheet.size == (160 + 80, 80)
    assert sheet.getpixel((10, 40)) == (255, 0, 0) and sheet.getpixel((230, 40)) == (0, 0, 255)


def test_a_service_that_does_not_start_says_why(monkeypatch, tmp_path):
    """A process that ends before it is ready is an error that carries what it printed."""
    command = tmp_path / "likeness"
    command.write_text("#!/bin/sh\necho no models here\nexit 1\n")
    command.chmod(0o755)
    monkeypatch.setattr(run.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(RuntimeError, match="no models here"), run.running_service():
        pass


@pytest.mark.skipif(not Path(sys.executable).with_name("likeness").exists(), reason="likeness is not installed")
def test_the_demo_draws_and_verifies_its_photo():
    """The script ends well, writes the picture, and prints where it is, ever less likeness, and the timings."""
    done = subprocess.run([sys.executable, "demo/run.py"], cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    with Image.open(run.RESULT) as picture:
        assert picture.size == (1024, 256)
    assert str(run.RESULT) in done.stdout
    found = [
        float(each) for each in re.findall(r"strength [\d.]+ +.*the same person: similarity ([\d.]+)", done.stdout)
    ]
    assert len(found) == 3 and found == sorted(found, reverse=True)
    assert re.search(r"translate \d+ ms, verify \d+ ms", done.stdout)
