"""POST /translate: what is asked for is what comes."""

import base64
import io
from collections.abc import Callable

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.main import create_app
from service.settings import Settings
from service.uploads import Picture

JPEG = {"content-type": "image/jpeg"}


def picture(answer: httpx2.Response) -> np.ndarray:
    """The pixels of an answer."""
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)


def decoded(text: str) -> np.ndarray:
    """The pixels of a base64 picture."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")).astype(int)


def saved(pixels: Image.Image, format: str, **options: object) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    pixels.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module", name="couple")
def couple_(photo: bytes, stranger: bytes) -> bytes:
    """Two people in one picture, the larger on the right."""
    scene = Image.new("RGB", (800, 450), (127, 127, 127))
    scene.paste(Image.open(io.BytesIO(photo)).resize((220, 220)), (40, 100))
    scene.paste(Image.open(io.BytesIO(stranger)).resize((380, 380)), (380, 30))
    return saved(scene, "PNG")


@pytest.fixture(name="translate")
def translate_(client: TestClient, photo: bytes) -> Callable[..., httpx2.Response]:
    """POST the portrait with options."""

    def post(accept: str = "image/png", content: bytes = photo, **options: object) -> httpx2.Response:
        return client.post("/translate", files={"image": content}, data=options, headers={"accept": accept})

    return post


# Bodies and answers


def test_form_bare_body_and_json_are_one_request(client: TestClient, photo: bytes) -> None:
    """The three kinds of body, with options in form, query or JSON, give the same bytes."""
    text = base64.b64encode(photo).decode()
    answers = [
        client.post("/translate", files={"image": photo}, data={"strength": "0.5"}),
        client.post("/translate", files={"image": photo}, params={"strength": "0.5"}),
        client.post("/translate", content=photo, headers=JPEG, params={"strength": "0.5"}),
        client.post("/translate", json={"image": text, "strength": 0.5}),
        client.post("/translate", json={"image": f"data:image/jpeg;base64,{text}", "strength": 0.5}),
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize(
    ("accept", "format", "kind"),
    [
        ("*/*", None, "JPEG"),
        ("image/png", None, "PNG"),
        ("image/webp, image/png;q=0.1", None, "WEBP"),
        ("image/png", "webp", "WEBP"),
        ("text/html", "png", "PNG"),
        ("text/html, */*;q=0.1", None, "JPEG"),
    ],
)
def test_accept_chooses_the_format_and_an_explicit_one_wins(
    translate: Callable[..., httpx2.Response], accept: str, format: str | None, kind: str
) -> None:
    """The answer is in the format that Accept likes best, JPEG by default, or in the one that `format` names."""
    answer = translate(accept, **({"format": format} if format else {}))
    assert Image.open(io.BytesIO(answer.content)).format == kind
    assert answer.headers["content-type"] == f"image/{kind.lower()}"
    assert answer.headers["vary"] == "Accept" and answer.headers["cache-control"] == "no-store"


def test_json_tells_all_about_every_face(client: TestClient, couple: bytes) -> None:
    """JSON lists the faces, largest first, each with box, score, points, similarity and drawing, and the timings."""
    answer = client.post(
        "/translate", files={"image": couple}, data={"faces": "all", "format": "png", "strength": "0"}
    ).json()
    assert answer["model"] == "caricature/1" and answer["media_type"] == "image/png" and answer["image"] is None
    assert [face["box"]["x"] > 380 for face in answer["faces"]] == [True, False]
    for face in answer["faces"]:
        assert decoded(face["image"]).shape == (256, 256, 3) and len(face["landmarks"]) == 5
        assert face["similarity"] > 0.8
    assert {"decode", "detect", "cut", "translate", "identity", "encode"} <= set(answer["timings"])
    assert answer["notice"] == "A toy: for tests only."


def test_a_picture_says_in_headers_what_json_says(translate: Callable[..., httpx2.Response]) -> None:
    """Model, box, score, similarity and timings of a single picture are in its headers."""
    headers, answer = translate().headers, translate("application/json").json()
    face = answer["faces"][0]
    assert headers["x-likeness-model"] == answer["model"] and headers["x-likeness-faces"] == "1"
    assert headers["x-likeness-box"] == "{x} {y} {width} {height}".format(**face["box"])
    assert float(headers["x-likeness-similarity"]) == pytest.approx(face["similarity"], abs=1e-3)
    assert "decode;dur=" in headers["server-timing"]


def test_all_faces_are_laid_back_into_the_photo(client: TestClient, couple: bytes) -> None:
    """output=photo keeps the photo's size and background and changes every face, or the largest alone."""
    before = np.asarray(Image.open(io.BytesIO(couple))).astype(int)
    changes = {}
    for faces in ("all", "largest"):
        answer = client.post(
            "/translate", files={"image": couple}, data={"faces": faces, "output": "photo", "format": "png"}
        )
        changed = np.abs(picture(answer) - before).max(axis=2) > 30
        assert changed.shape == (450, 800) and not changed[:20].any()
        changes[faces] = changed[:, :260].any(), changed[:, 380:].any()
        assert b"compositeWithTrainedAlgorithmicMedia" in answer.content
    assert changes == {"all": (True, True), "largest": (False, True)}
    assert answer.headers["x-likeness-faces"] == "1"


def test_a_photo_with_every_face_may_be_a_bare_picture(client: TestClient, couple: bytes) -> None:
    """faces=all with output=photo is one picture; its headers list the faces."""
    answer = client.post("/translate", files={"image": couple}, data={"faces": "all", "output": "photo"})
    assert answer.headers["content-type"] == "image/jpeg" and answer.headers["x-likeness-faces"] == "2"
    assert len(answer.headers["x-likeness-similarity"].split(",")) == 2


def test_a_picture_may_be_named_by_its_url_where_that_is_allowed(settings: Settings, photo: bytes) -> None:
    """JSON with {"url": ...} is refused by default and drawn from what the fetcher brings where it is on."""

    class Brings:
        async def fetch(self, url: str, *, seconds: float) -> Picture:
            assert url == "https://pictures.example/me.jpg" and seconds > 0
            return Picture(photo)

    named = {"image": {"url": "https://pictures.example/me.jpg"}}
    with TestClient(create_app(settings)) as client:
        refused = client.post("/translate", json=named)
        assert (refused.status_code, refused.json()["code"]) == (422, "url-not-allowed")
        client.app.state.fetcher = Brings()
        drawn = client.post("/translate", json=named)
        assert drawn.content == client.post("/translate", content=photo, headers=JPEG).content
    on = settings.model_copy(update={"fetch_urls": True})
    with TestClient(create_app(on)) as client:
        private = client.post("/translate", json={"image": {"url": "https://127.0.0.1/me.jpg"}})
        assert (private.status_code, private.json()["code"]) == (422, "url-not-allowed")


# Options


def test_strength_is_the_models_control(translate: Callable[..., httpx2.Response]) -> None:
    """Strength 0 leaves the toy's picture, 1 (the default) inverts it."""
    plain, inverted = picture(translate(strength=0)), picture(translate())
    assert np.abs(plain + inverted - 255).max() <= 1
    np.testing.assert_array_equal(picture(translate(strength=1)), inverted)


def test_any_control_of_the_contract_is_an_option(translate: Callable[..., httpx2.Response]) -> None:
    """A control that no code of the service knows is a request option."""
    cold, warm = picture(translate(strength=0)), picture(translate(strength=0, warmth=1))
    assert np.median(warm[..., 0] - cold[..., 0]) == 20 and (warm[..., 1:] == cold[..., 1:]).all()


def test_seeds_and_styles(client: TestClient, photo: bytes, translate: Callable[..., httpx2.Response]) -> None:
    """Seed 0 is the default style, others draw their own, and a style by name or vector wins over the seed."""
    plain = translate().content
    assert translate(seed=0).content == plain == translate(style="plain").content == translate(style="0,0").content
    assert translate(seed=1).content == translate(seed=1).content != plain
    bright = translate(style="bright").content
    assert bright == translate(style="bright", seed=7).content != plain
    json_style = {"image": base64.b64encode(photo).decode(), "style": [1.5, 0], "format": "png"}
    assert client.post("/translate", json=json_style).content == bright


def test_same_request_same_bytes(settings: Settings, translate: Callable[..., httpx2.Response], photo: bytes) -> None:
    """A request answered again, by another process' worth of application too, gives the same bytes."""
    for accept in ("image/jpeg", "image/png", "image/webp"):
        with TestClient(create_app(settings)) as other:
            answer = other.post("/translate", files={"image": photo}, data={"seed": 5}, headers={"accept": accept})
        assert translate(accept, seed=5).content == answer.content == translate(accept, seed=5).content


def test_no_metadata_of_the_upload_survives(client: TestClient, photo: bytes) -> None:
    """EXIF of the upload is obeyed and dropped; the answer carries the mark of AI instead."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "secret-place"
    turned = Image.open(io.BytesIO(photo)).transpose(Image.Transpose.ROTATE_90)
    upload = saved(turned, "JPEG", exif=exif, quality=95, comment=b"secret-name")
    for output in ("crop", "photo"):
        for format in ("jpeg", "png", "webp"):
            answer = client.post("/translate", files={"image": upload}, data={"output": output, "format": format})
            assert answer.status_code == 200 and b"secret" not in answer.content
            assert b"rainedAlgorithmicMedia" in answer.content and b"AI-generated" in answer.content


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "I;16"])
def test_every_kind_of_pixel_is_drawn(client: TestClient, photo: bytes, mode: str) -> None:
    """Grey, CMYK, palette, alpha and 16-bit photos are translated."""
    image = Image.open(io.BytesIO(photo))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) << 8)
    else:
        image = image.convert(mode)
    answer = client.post("/translate", files={"image": saved(image, "TIFF")}, data={"strength": 0})
    assert picture(answer).std() > 20
