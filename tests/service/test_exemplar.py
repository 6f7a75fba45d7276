"""POST /translate with an exemplar: a photo is drawn in the look of a drawing."""

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from export.repository import publish
from service.admission import Memory
from service.main import create_app
from service.settings import Settings
from tests.conftest import TRANSLATOR, TRANSLATOR_GRAPH, onnx_file

STYLELESS = """
<ir_version: 10, opset_import: ["" : 18]>
toy (uint8[batch,256,256,3] image) => (uint8[batch,256,256,3] image_out)
{
    image_out = Identity(image)
}
"""
ALIGNED = {"faces": "aligned", "format": "png", "identity": "false", "strength": "0"}

Translate = Callable[..., httpx2.Response]


def png(pixels: Image.Image) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    pixels.save(buffer, "PNG")
    return buffer.getvalue()


def plain(*colour: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """A picture of one colour."""
    return png(Image.new("RGB", size, colour))


def mean(answer: httpx2.Response) -> float:
    """How bright an answer is."""
    assert answer.status_code == 200, answer.text
    return float(np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).mean())


def problem(answer: httpx2.Response) -> tuple[int, str, list[str]]:
    """Status, code and what is pointed to."""
    told = answer.json()
    return answer.status_code, told["code"], [each["pointer"] for each in told.get("errors", [])]


@pytest.fixture(scope="module", name="repository")
def repository_(models: Path, style_reader_file: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toys, one that reads styles, and translators that take small styles alone, or none."""
    root = tmp_path_factory.mktemp("models")
    for name in ("caricature", "sphereface", "landmarks"):
        (root / name).symlink_to(models / name)
    strength, style, warmth = TRANSLATOR.controls
    narrow = replace(TRANSLATOR, controls=(strength, replace(style, low=-1.0, high=1.0), warmth), styles={})
    publish(root, "style", 1, {"model.onnx": style_reader_file})
    publish(root, "narrow", 1, {"model.onnx": onnx_file(TRANSLATOR_GRAPH, narrow)})
    publish(root, "styleless", 1, {"model.onnx": onnx_file(STYLELESS, replace(TRANSLATOR, controls=(), styles={}))})
    return root


@pytest.fixture(scope="module", name="reading")
def reading_(repository: Path) -> Iterator[TestClient]:
    """A client of a service that reads exemplars."""
    with TestClient(create_app(Settings(models=repository, log_level="error"))) as client:
        yield client


@pytest.fixture(name="translate")
def translate_(reading: TestClient) -> Translate:
    """POST a grey crop of level 60, with an exemplar if there is one, and other options than the usual ones."""

    def post(exemplar: object = None, image: bytes = plain(60, 60, 60), **options: object) -> httpx2.Response:
        files = {"image": image} if exemplar is None else {"image": image, "exemplar": exemplar}
        return reading.post("/translate", files=files, data={**ALIGNED, **options})

    return post


def test_a_photo_is_drawn_in_the_look_of_a_drawing(translate: Translate) -> None:
    """The style is what is read of the exemplar, whatever the seed says, and differs with it."""
    answer = translate(plain(102, 9, 51))
    assert mean(answer) == 60 + 20 * 2 and "style;dur=" in answer.headers["server-timing"]
    assert answer.content == translate(style="2,1").content == translate(plain(102, 9, 51), seed=7).content
    assert mean(translate(plain(51, 9, 51))) == 60 + 20


def test_a_form_and_json_are_one_request(reading: TestClient, translate: Translate) -> None:
    """In JSON both pictures are base64."""
    pictures = {"image": plain(60, 60, 60), "exemplar": plain(102, 0, 0)}
    inline = {name: base64.b64encode(content).decode() for name, content in pictures.items()}
    options = {**ALIGNED, "identity": False, "strength": 0}
    assert reading.post("/translate", json={**inline, **options}).content == translate(plain(102, 0, 0)).content


def test_without_an_exemplar_nothing_reads_styles(translate: Translate) -> None:
    """Neither its model nor its stage is in an answer."""
    answer = translate()
    assert mean(answer) == 60 and "style" not in answer.headers["server-timing"]


def test_its_largest_face_is_looked_at(reading: TestClient, translate: Translate, stranger: bytes) -> None:
    """The same crop is read that would be drawn of it, wherever it is in the picture."""
    scene = Image.new("RGB", (640, 300), (255, 255, 255))
    scene.paste(Image.open(io.BytesIO(stranger)), (0, 20))
    options = {"strength": 0, "style": "0,0", "format": "png", "identity": "false"}
    crop = reading.post("/translate", files={"image": png(scene)}, data=options).content
    red, _, blue = np.asarray(Image.open(io.BytesIO(crop)).convert("RGB")).mean((0, 1)) / 51
    found = mean(translate(png(scene)))
    assert found == pytest.approx(mean(translate(style=f"{red},{blue}")), abs=1) and found < 60 + 20 * 5 - 10


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (1, 400)])
def test_where_there_is_no_face_its_middle_is_looked_at(translate: Translate, size: tuple[int, int]) -> None:
    """The largest square around the middle; what lies beside it says nothing."""
    side = min(size)
    scene = Image.new("RGB", size, (255, 255, 255))
    scene.paste((102, 0, 0), tuple((length - side) // 2 + edge for edge in (0, side) for length in size))
    assert mean(translate(png(scene))) == 60 + 20 * 2


def test_a_style_beyond_the_range_is_brought_into_it(translate: Translate) -> None:
    """What is read may come of another training than the translator."""
    assert mean(translate(plain(102, 0, 0), model="narrow")) == 60 + 20


@pytest.mark.parametrize(
    ("options", "status", "code", "fields"),
    [
        ({"style": "bright"}, 400, "bad-parameter", ["#/style", "#/exemplar"]),
        ({"style": "1,1"}, 400, "bad-parameter", ["#/style", "#/exemplar"]),
        ({"model": "styleless"}, 400, "bad-parameter", ["#/exemplar"]),
    ],
)
def test_a_style_can_be_said_once_and_must_be_taken(
    translate: Translate, options: dict[str, str], status: int, code: str, fields: list[str]
) -> None:
    """By name or vector beside an exemplar it is a contradiction; a translator without styles takes no exemplar."""
    assert problem(translate(plain(102, 0, 0), **options)) == (status, code, fields)


def test_without_a_reader_there_are_no_exemplars(client: TestClient, reading: TestClient, translate: Translate) -> None:
    """Where no model bears the name, and where the one that does is of another role."""
    pictures = {"image": plain(60, 60, 60), "exemplar": plain(102, 0, 0)}
    missing = (404, "model-not-found", ["#/exemplar"])
    assert problem(client.post("/translate", files=pictures, data=ALIGNED)) == missing
    state, settings = reading.app.state, reading.app.state.settings
    state.settings = settings.model_copy(update={"style_reader": "sphereface"})
    try:
        assert problem(translate(plain(102, 0, 0))) == missing
    finally:
        state.settings = settings


@pytest.mark.parametrize(
    ("exemplar", "status", "code"),
    [
        (plain(102, 0, 0)[:60], 400, "malformed-image"),
        (b"", 400, "empty-body"),
        (b"hello" * 99, 415, "unsupported-image-type"),
        (("drawing", plain(102, 0, 0), "image/jpeg"), 415, "image-type-mismatch"),
        (plain(0, 0, 0, size=(16_385, 1)), 422, "too-many-pixels"),
        ((None, "oil"), 400, "malformed-body"),
    ],
    ids=["truncated", "nothing", "no picture", "of another type", "too large", "a word"],
)
def test_a_broken_exemplar_is_told_from_a_broken_photo(
    translate: Translate, exemplar: object, status: int, code: str
) -> None:
    """It is refused for what a photo is refused for, under its own name; with a sound one the photo has its name."""
    assert problem(translate(exemplar)) == (status, code, ["#/exemplar"])
    assert problem(translate(plain(102, 0, 0), faces="largest")) == (422, "no-face-found", ["#/image"])


def test_its_pixels_count(reading: TestClient, translate: Translate, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the memory that pictures share, which has all of it back when the request is over."""
    memory = Memory(1_000_000)
    monkeypatch.setattr(reading.app.state.parts.pipeline, "memory", memory)
    assert problem(translate(plain(102, 0, 0, size=(600, 600)))) == (503, "overloaded", ["#/exemplar"])
    assert mean(translate(plain(102, 0, 0, size=(300, 300)))) == 100
    with memory.held(1_000_000):
        pass


def test_it_is_for_one_photo(reading: TestClient) -> None:
    """A batch takes none."""
    pictures = {"image": plain(60, 60, 60), "exemplar": plain(102, 0, 0)}
    answer = reading.post("/translate/batch", files=pictures, data=ALIGNED)
    assert problem(answer) == (400, "ambiguous-body", ["#/exemplar"])


def test_what_reads_it_is_listed(reading: TestClient) -> None:
    """GET /models names its role, and that it is asked where a request names none."""
    reader = next(each for each in reading.get("/models").json()["models"] if each["role"] == "style")
    assert (reader["name"], reader["default"], reader["input"], reader["controls"]) == ("style", True, [256, 256], [])
