"""The HTTP surface: what is asked for is what comes, and every bad input is a problem of its own."""

import base64
import io
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.errors import INTERNAL, PROBLEMS
from service.main import create_app
from service.settings import Settings
from service.uploads import Picture

JPEG = {"content-type": "image/jpeg"}

Gated = Callable[[Settings], tuple[TestClient, Event]]


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


# Verify


def test_verify_tells_people_apart(client: TestClient, photo: bytes, smiling: bytes, stranger: bytes) -> None:
    """Two photos of one person are the same person, two people are not; the decision is similarity >= threshold."""
    same = client.post("/verify", files={"image1": photo, "image2": smiling}).json()
    other = client.post("/verify", files={"image1": photo, "image2": stranger}).json()
    assert same["similarity"] > other["similarity"] and same["same_person"]
    for answer in (same, other):
        assert answer["same_person"] == (answer["similarity"] >= answer["threshold"])
        assert (answer["far"], answer["threshold"], answer["model"]) == (0.01, 0.9, "sphereface/1")
        assert len(answer["faces"]) == 2


def test_verify_decides_at_the_rate_that_is_asked_for(client: TestClient, photo: bytes) -> None:
    """far=0.001 takes the stricter threshold, in a form or in JSON; a rate without calibration is refused."""
    text = base64.b64encode(photo).decode()
    form = client.post("/verify", files={"image1": photo, "image2": photo}, data={"far": "0.001"}).json()
    answer = client.post("/verify", json={"image1": text, "image2": text, "far": 0.001}).json()
    assert form["threshold"] == answer["threshold"] == 0.95 and answer["similarity"] == pytest.approx(1, abs=1e-5)
    refused = client.post("/verify", json={"image1": text, "image2": text, "far": 0.5})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad-parameter")


def test_a_problem_of_verify_says_which_picture(client: TestClient, photo: bytes) -> None:
    """The pointer of a problem names the picture that caused it."""
    blank = saved(Image.new("RGB", (200, 200)), "PNG")
    answer = client.post("/verify", files={"image1": photo, "image2": blank})
    assert (answer.status_code, answer.json()["errors"]) == (422, [{"pointer": "#/image2"}])


# Bad input


def blank(width: int, height: int) -> bytes:
    """A picture without a face."""
    return saved(Image.new("L", (width, height)), "PNG")


def shrunk(photo: bytes, side: int) -> bytes:
    """The portrait at a smaller size."""
    return saved(Image.open(io.BytesIO(photo)).resize((side, side), Image.Resampling.LANCZOS), "PNG")


BAD_INPUT: dict[str, tuple[int, str, Callable[[bytes], dict[str, object]]]] = {
    "not an image": (415, "unsupported-image-type", lambda p: {"content": b"hello" * 99, "headers": JPEG}),
    "a format off the list": (415, "unsupported-image-type", lambda p: {"files": {"image": b"%PDF-1.7" + p}}),
    "wrong magic": (415, "image-type-mismatch", lambda p: {"content": p, "headers": {"content-type": "image/png"}}),
    "wrong magic in a form": (415, "image-type-mismatch", lambda p: {"files": {"image": ("a", p, "image/webp")}}),
    "truncated": (400, "malformed-image", lambda p: {"files": {"image": p[:6000]}}),
    "only a header": (400, "malformed-image", lambda p: {"files": {"image": p[:200]}}),
    "no bytes": (400, "empty-body", lambda p: {"content": b"", "headers": JPEG}),
    "no bytes in a form": (400, "empty-body", lambda p: {"files": {"image": b""}}),
    "no picture in a form": (400, "empty-body", lambda p: {"files": {"seed": (None, "1")}}),
    "no picture in JSON": (400, "empty-body", lambda p: {"json": {"seed": 1}}),
    "body too large": (413, "body-too-large", lambda p: {"content": p + bytes(20_000_000), "headers": JPEG}),
    "body too large, of unknown length": (
        413,
        "body-too-large",
        lambda p: {"content": iter([p] + [bytes(1_000_000)] * 20), "headers": JPEG},
    ),
    "more than 40 megapixels": (422, "too-many-pixels", lambda p: {"files": {"image": blank(8000, 5001)}}),
    "no face": (422, "no-face-found", lambda p: {"files": {"image": blank(300, 300)}}),
    "no faces": (422, "no-face-found", lambda p: {"files": {"image": blank(300, 300)}, "data": {"faces": "all"}}),
    "face too small": (422, "face-too-small", lambda p: {"files": {"image": shrunk(p, 56)}}),
    "two pictures": (400, "ambiguous-body", lambda p: {"files": [("image", p), ("image", p)]}),
    "two pictures in JSON": (
        400,
        "ambiguous-body",
        lambda p: {"content": b'{"image": "eHg=", "image": "eHg="}', "headers": {"content-type": "application/json"}},
    ),
    "a second file": (400, "ambiguous-body", lambda p: {"files": {"image": p, "other": p}}),
    "unknown model": (404, "model-not-found", lambda p: {"files": {"image": p}, "data": {"model": "nobody"}}),
    "an encoder as translator": (
        404,
        "model-not-found",
        lambda p: {"files": {"image": p}, "data": {"model": "sphereface"}},
    ),
    "strength too high": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": "3.1"}}),
    "strength below 0": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": "-1"}}),
    "strength NaN": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": "nan"}}),
    "strength infinite": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": "inf"}}),
    "strength a word": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": "much"}}),
    "strength nothing": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"strength": ""}}),
    "unknown option": (400, "bad-parameter", lambda p: {"files": {"image": p}, "params": {"colour": "red"}}),
    "unknown style": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"style": "cubist"}}),
    "negative seed": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"seed": "-1"}}),
    "unknown faces": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"faces": "some"}}),
    "unknown format": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"format": "gif"}}),
    "quality 0": (400, "bad-parameter", lambda p: {"files": {"image": p}, "data": {"quality": "0"}}),
    "an option twice": (
        400,
        "bad-parameter",
        lambda p: {"files": {"image": p}, "data": {"seed": "1"}, "params": {"seed": "2"}},
    ),
    "unacceptable Accept": (
        406,
        "not-acceptable",
        lambda p: {"files": {"image": p}, "headers": {"accept": "text/html"}},
    ),
    "all crops as one picture": (
        406,
        "not-acceptable",
        lambda p: {"files": {"image": p}, "data": {"faces": "all"}, "headers": {"accept": "image/png"}},
    ),
    "unknown body": (415, "unsupported-body-type", lambda p: {"content": p, "headers": {"content-type": "text/plain"}}),
    "no Content-Type": (415, "unsupported-body-type", lambda p: {"content": p}),
    "compressed body": (
        415,
        "unsupported-body-type",
        lambda p: {"content": p, "headers": {**JPEG, "content-encoding": "gzip"}},
    ),
    "broken JSON": (
        400,
        "malformed-body",
        lambda p: {"content": b"{", "headers": {"content-type": "application/json"}},
    ),
    "JSON that is no object": (400, "malformed-body", lambda p: {"json": [1, 2]}),
    "broken base64": (400, "malformed-body", lambda p: {"json": {"image": "%%%"}}),
    "a number as picture": (400, "malformed-body", lambda p: {"json": {"image": 7}}),
    "a word as picture": (400, "malformed-body", lambda p: {"files": {"image": (None, "me")}}),
    "a form without boundary": (
        400,
        "malformed-body",
        lambda p: {"content": p, "headers": {"content-type": "multipart/form-data"}},
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_every_bad_input_is_a_problem_of_its_own(client: TestClient, photo: bytes, name: str) -> None:
    """Status, code and type are the table's, the body is RFC 9457, and the next good request is served."""
    status, code, request = BAD_INPUT[name]
    answer = client.post("/translate", **request(photo))
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    assert problem["type"] == f"urn:likeness:problem:{code}" and problem["title"] and problem["detail"]
    assert problem["instance"].endswith(answer.headers["x-request-id"])
    assert client.post("/translate", files={"image": photo}).status_code == 200


def test_unknown_paths_and_methods_are_problems_too(client: TestClient) -> None:
    """404 and 405 of the router have the same form."""
    for answer, code in ((client.get("/nowhere"), "not-found"), (client.get("/translate"), "method-not-allowed")):
        assert answer.headers["content-type"] == "application/problem+json" and answer.json()["code"] == code


def test_memory_does_not_grow_with_rejected_input(client: TestClient, photo: bytes) -> None:
    """Two hundred refused bodies and bombs leave no more than a few megabytes behind."""

    def resident() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    bomb, large = blank(16_000, 16_000), photo + bytes(5_000_000)

    def round_() -> None:
        for content in (bomb, large[: len(photo) // 2], b"no", blank(64, 64)):
            client.post("/translate", files={"image": content})
        client.post("/translate", content=large, headers={"content-type": "image/png"})

    for _ in range(10):
        round_()
    before = resident()
    for _ in range(40):
        round_()
    assert resident() - before < 30_000_000


# Overload


@pytest.fixture(name="gated")
def gated_(models: Path, photo: bytes) -> Iterator[Gated]:
    """A way to make an application whose translator waits for an event."""
    gates: list[tuple[TestClient, Event]] = []

    def make(settings: Settings) -> tuple[TestClient, Event]:
        client, gate = TestClient(create_app(settings)), Event()
        client.__enter__()
        gates.append((client, gate))
        model = client.app.state.parts.registry.served["caricature"].model
        run = model.run

        def gated_run(*arguments: object, **options: object) -> object:
            gate.wait(20)
            return run(*arguments, **options)

        model.run = gated_run
        return client, gate

    yield make
    for client, gate in gates:
        gate.set()
        client.__exit__(None, None, None)


@pytest.mark.parametrize("limit", [{"queue_capacity": 2}, {"max_requests": 3}])
def test_overload_is_told_with_retry_after(gated: Gated, models: Path, photo: bytes, limit: dict[str, int]) -> None:
    """With every place taken a request is refused at once as 503 with Retry-After, and those inside are answered."""
    client, gate = gated(Settings(models=models, **limit))

    def post(_: int) -> httpx2.Response:
        answer = client.post("/translate", files={"image": photo})
        if answer.status_code == 503:
            gate.set()
        return answer

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused and all(answer.status_code in (200, 503) for answer in answers)
    assert sum(answer.status_code == 200 for answer in answers) >= 2
    for answer in refused:
        assert int(answer.headers["retry-after"]) >= 1 and answer.json()["code"] == "overloaded"
        assert answer.json()["retry_after"] == int(answer.headers["retry-after"])


def test_an_unexpected_error_tells_nothing(gated: Gated, models: Path, photo: bytes) -> None:
    """A bug is a problem of status 500 without the exception's text, and the service goes on."""
    client, _ = gated(Settings(models=models))

    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("secret")

    pipeline = client.app.state.parts.pipeline
    working, pipeline.translate = pipeline.translate, broken
    answer = client.post("/translate", files={"image": photo})
    pipeline.translate = working
    assert (answer.status_code, answer.json()["code"]) == (INTERNAL.status, INTERNAL.code)
    assert "secret" not in answer.text and answer.headers["x-request-id"]
    assert client.get("/readyz").status_code == 200


# The rest of the surface


def test_models_says_first_what_must_be_known(client: TestClient) -> None:
    """GET /models lists every model, its notice first, with controls, styles and thresholds."""
    models = {each["name"]: each for each in client.get("/models").json()["models"]}
    assert set(models) == {"caricature", "sphereface"} and next(iter(models["caricature"])) == "notice"
    toy = models["caricature"]
    assert toy["default"] and toy["styles"] == ["plain", "bright"] and len(toy["digest"]) == 64
    assert [(control["name"], control["low"], control["high"]) for control in toy["controls"]] == [
        ("strength", 0, 3),
        ("style", None, None),
        ("warmth", -1, 1),
    ]
    assert models["sphereface"]["thresholds"] == {"0.01": 0.9, "0.001": 0.95}


def test_request_ids_are_taken_over_or_made(client: TestClient) -> None:
    """A harmless X-Request-ID comes back, anything else is replaced."""
    assert client.get("/livez", headers={"x-request-id": "abc-1.2_3~"}).headers["x-request-id"] == "abc-1.2_3~"
    for bad in ("a b", "x" * 129, "<script>", ""):
        made = client.get("/livez", headers={"x-request-id": bad}).headers["x-request-id"]
        assert made != bad and len(made) == 32


def test_openapi_documents_bodies_options_and_every_problem(client: TestClient) -> None:
    """The document names each body kind, each option, and each code of the table that a route can answer."""
    document = client.get("/openapi.json").json()
    translate, verify = (document["paths"][path]["post"] for path in ("/translate", "/verify"))
    assert set(translate["requestBody"]["content"]) == {"multipart/form-data", "application/json", "image/*"}
    assert set(verify["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
    options = {parameter["name"] for parameter in translate["parameters"]}
    assert options == {"model", "seed", "faces", "identity", "output", "format", "quality"}
    text = json.dumps(document["paths"])
    documented = {problem.code for problem in PROBLEMS.values() if f"`{problem.code}`" in text}
    assert documented == {problem.code for problem in PROBLEMS.values()} - {"client-closed"}
    for status in ("200", "406", "413", "415", "422", "503"):
        assert status in translate["responses"]


def test_openapi_references_resolve(client: TestClient) -> None:
    """Every $ref of the document points to something in it."""
    document = client.get("/openapi.json").json()

    def references(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            yield from [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            node = list(node.values())
        for child in node if isinstance(node, list) else []:
            yield from references(child)

    found = set(references(document))
    assert found
    for reference in found:
        target = document
        for key in reference.removeprefix("#/").split("/"):
            target = target[key]


def test_docs_load_nothing_from_elsewhere(client: TestClient) -> None:
    """The page of the API works offline: scripts and styles come from the service."""
    page = client.get("/docs").text
    assert "http://" not in page.replace("http://testserver", "") and "https://" not in page
    assert client.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200


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
