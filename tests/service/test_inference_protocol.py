"""service.api.inference_protocol: a client that others made finds what it expects under /v2, and pictures are files."""

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import tritonclient.http as triton
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image
from tritonclient.utils import InferenceServerException

from export.repository import publish
from service import __version__
from service.access import Scope, new_key
from service.main import create_app
from service.settings import Settings


@pytest.fixture(scope="module", name="address")
def address_(
    models: Path, tmp_path_factory: pytest.TempPathFactory, translator_file: bytes, generator_file: bytes
) -> Iterator[str]:
    """Host and port of a real server over the toys, a second translator and a generator among them; all on demand."""
    root = tmp_path_factory.mktemp("served")
    for name in ("caricature", "sphereface", "landmarks"):
        (root / name).symlink_to(models / name)
    publish(root, "other", 1, {"model.onnx": translator_file})
    publish(root, "other", 2, {"model.onnx": translator_file})
    publish(root, "faces", 1, {"model.onnx": generator_file})
    publish(root, "broken", 1, {"model.onnx": b"no graph"})
    settings = Settings(models=root, preload=(), max_batch_items=4, log_level="error")
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture(scope="module", name="client")
def client_(address: str) -> Iterator[triton.InferenceServerClient]:
    """Triton's client."""
    with triton.InferenceServerClient(address, network_timeout=30) as client:
        yield client


def tensor(name: str, values: Sequence[Any], *, binary: bool = True) -> triton.InferInput:
    """An input of files, or of numbers."""
    files = isinstance(values[0], bytes)
    array = np.array(values, np.object_ if files else np.float32)
    given = triton.InferInput(name, list(array.shape), "BYTES" if files else "FP32")
    return given.set_data_from_numpy(array, binary_data=binary)


def picture(file: bytes) -> np.ndarray:
    """Its pixels."""
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int)


def crop(seed: int) -> bytes:
    """A picture of noise, as it would be cut by the template."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (256, 256, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


# What there is


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    """Alive, ready, name, version and extensions."""
    assert client.is_server_live() and client.is_server_ready()
    assert client.get_server_metadata() == {
        "name": "likeness",
        "version": __version__,
        "extensions": ["binary_tensor_data", "model_repository"],
    }


def test_health_is_503_before_the_models_are_there(settings: Settings) -> None:
    """Liveness does not wait for the models, readiness does."""
    client = TestClient(create_app(settings))
    assert client.get("/v2/health/live").json() == {"live": True}
    answer = client.get("/v2/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "model-loading") and answer.json()["error"]


def test_a_translator_takes_files_and_its_controls(client: triton.InferenceServerClient) -> None:
    """Metadata: pictures are BYTES, controls FP32; the score is there because an encoder is."""
    metadata = client.get_model_metadata("caricature")
    assert metadata == client.get_model_metadata("caricature", "1")
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == ("caricature", ["1"], "onnx_onnxv1")
    assert metadata["inputs"] == [
        {"name": "image", "datatype": "BYTES", "shape": [-1]},
        {"name": "strength", "datatype": "FP32", "shape": [-1]},
        {"name": "style", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "warmth", "datatype": "FP32", "shape": [-1]},
    ]
    assert [each["name"] for each in metadata["outputs"]] == ["image", "similarity"]


def test_an_encoder_compares_and_gives_no_embedding(client: triton.InferenceServerClient) -> None:
    """Metadata of an encoder: two pictures in, how alike they are out."""
    metadata = client.get_model_metadata("sphereface")
    assert [each["name"] for each in metadata["inputs"]] == ["image1", "image2"]
    assert metadata["outputs"] == [
        {"name": "similarity", "datatype": "FP32", "shape": [-1]},
        {"name": "same_person", "datatype": "BOOL", "shape": [-1]},
    ]


def test_what_is_not_there_is_not_ready(client: triton.InferenceServerClient) -> None:
    """Models and versions: served, on demand, broken, unknown."""
    assert client.is_model_ready("caricature") and client.is_model_ready("caricature", "1")
    assert client.is_model_ready("other", "2")
    for name, version in (("caricature", "2"), ("caricature", "one"), ("nothing", ""), ("landmarks", "")):
        assert not client.is_model_ready(name, version)
        with pytest.raises(InferenceServerException, match="404"):
            client.get_model_metadata(name, version)
    for _ in range(2):
        with pytest.raises(InferenceServerException, match=r"503.*cannot load"):
            client.get_model_metadata("broken")
        assert not client.is_model_ready("broken")


def test_a_model_on_demand_is_loaded_for_who_asks(client: triton.InferenceServerClient) -> None:
    """Metadata of a model that is not in memory waits for it, and has its highest version."""
    assert client.get_model_metadata("other")["versions"] == ["2"]
    assert (
        client.infer("other", [tensor("image", [crop(0)])], parameters={"faces": "aligned"}).get_response()[
            "model_version"
        ]
        == "2"
    )


def test_a_generator_that_is_served_is_not_ready_for_inference(
    address: str, client: triton.InferenceServerClient
) -> None:
    """It has no picture to take: the index says so, it is not ready, and has neither metadata nor inference."""
    assert httpx2.post(f"http://{address}/generate", json={"model": "faces"}, timeout=30).status_code == 200
    (entry,) = [each for each in client.get_model_repository_index() if each["name"] == "faces"]
    reason = "infer takes a translator or encoder, no generator"
    assert (entry["version"], entry["state"], entry["reason"]) == ("1", "UNAVAILABLE", reason)
    for version in ("", "1"):
        assert not client.is_model_ready("faces", version)
        path = f"/v2/models/faces{version and '/versions/1'}/ready"
        answer = httpx2.get(f"http://{address}{path}")
        assert (answer.status_code, answer.json()["error"]) == (404, f"faces: {reason}")
        with pytest.raises(InferenceServerException, match="404"):
            client.get_model_metadata("faces", version)
        with pytest.raises(InferenceServerException, match="404"):
            client.infer("faces", [tensor("image", [crop(0)])], version)


def test_a_generator_that_is_loaded_is_an_entry_of_the_index(
    tmp_path: Path, models: Path, generator_file: bytes
) -> None:
    """Load answers what the index says of it from then on."""
    for path in models.iterdir():
        (tmp_path / path.name).symlink_to(path)
    publish(tmp_path, "faces", 1, {"model.onnx": generator_file})
    key, line = new_key("admin", [Scope.ADMIN])
    (tmp_path / "keys.toml").write_text(line)
    settings = Settings(
        models=tmp_path, preload=(), api_keys=tmp_path / "keys.toml", allow_model_control=True, log_level="error"
    )
    with TestClient(create_app(settings), headers={"X-API-Key": key}) as client:
        entry = client.post("/v2/repository/models/faces/load").json()
        assert (entry["state"], entry["version"]) == ("UNAVAILABLE", "1")
        assert entry in client.post("/v2/repository/index").json()
        assert entry not in client.post("/v2/repository/index", json={"ready": True}).json()


# Drawing


def test_a_photo_becomes_a_drawing(client: triton.InferenceServerClient, address: str, photo: bytes) -> None:
    """Bytes in, bytes out, both behind the JSON: what /translate draws of the photo's largest face, and its score."""
    result = client.infer("caricature", [tensor("image", [photo])], request_id="7", model_version="1")
    answer = result.get_response()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("7", "caricature", "1")
    (file,) = result.as_numpy("image")
    upload = {"image": photo}
    same = httpx2.post(f"http://{address}/translate", files=upload, data={"format": "png"}, timeout=30)
    assert file == same.content
    assert result.as_numpy("similarity") == pytest.approx([float(same.headers["x-likeness-similarity"])], abs=1e-4)


def test_elements_are_drawn_each_by_its_own_controls(client: triton.InferenceServerClient) -> None:
    """A batch of crops with a strength each, a style for all as parameter: every element is what it is alone."""
    crops, strengths = [crop(0), crop(1), crop(2)], [0.0, 1.0, 0.5]
    parameters = {"faces": "aligned", "style": "bright"}
    together = client.infer(
        "caricature", [tensor("image", crops), tensor("strength", strengths)], parameters=parameters
    ).as_numpy("image")
    assert len(set(together)) == 3
    for file, given, strength in zip(together, crops, strengths, strict=True):
        x = picture(given)
        assert np.abs(picture(file) - np.clip(x + strength * (255 - 2 * x) + 30, 0, 255)).max() <= 1
        alone = client.infer(
            "caricature", [tensor("image", [given]), tensor("strength", [strength])], parameters=parameters
        )
        assert alone.as_numpy("image")[0] == file


def test_vectors_are_rows_of_a_tensor(client: triton.InferenceServerClient) -> None:
    """A control of two numbers takes [n, 2]."""
    inputs = [tensor("image", [crop(0), crop(0)]), tensor("style", [[0.0, 0.0], [1.5, 0.0]])]
    plain, bright = client.infer("caricature", inputs, parameters={"faces": "aligned"}).as_numpy("image")
    assert picture(bright).mean() > picture(plain).mean() + 10


def test_outputs_are_those_that_were_asked_for(client: triton.InferenceServerClient) -> None:
    """One output as JSON, where a file is base64; JPEG and the whole photo by parameters."""
    parameters = {"faces": "aligned", "format": "jpeg", "output": "photo"}
    wanted = [triton.InferRequestedOutput("image", binary_data=False)]
    answer = client.infer("caricature", [tensor("image", [crop(0)])], outputs=wanted, parameters=parameters)
    (output,) = answer.get_response()["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("image", "BYTES", [1])
    assert output["parameters"] == {"content_type": "base64"}
    assert Image.open(io.BytesIO(base64.b64decode(output["data"][0]))).format == "JPEG"


def test_all_of_it_can_be_json(address: str) -> None:
    """Without the extension: files as base64, numbers as numbers, flat or nested."""
    body = {
        "id": "x",
        "parameters": {"faces": "aligned"},
        "inputs": [
            {"name": "image", "shape": [2], "datatype": "BYTES", "data": [base64.b64encode(crop(0)).decode()] * 2},
            {"name": "style", "shape": [2, 2], "datatype": "FP32", "data": [[0, 0], [1.5, 0]]},
            {"name": "strength", "shape": [2], "datatype": "FP32", "data": [0, 0]},
        ],
    }
    answer = httpx2.post(f"http://{address}/v2/models/caricature/infer", json=body, timeout=30)
    assert answer.headers["content-type"] == "application/json" and answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-likeness-model"] == "caricature/1"
    outputs = {each["name"]: each for each in answer.json()["outputs"]}
    plain, bright = (picture(base64.b64decode(each)) for each in outputs["image"]["data"])
    np.testing.assert_array_equal(plain, picture(crop(0)))
    np.testing.assert_array_equal(bright, np.minimum(plain + 30, 255))
    assert outputs["similarity"]["shape"] == [2] and len(outputs["similarity"]["data"]) == 2


# Comparing


def test_two_pictures_are_compared(
    client: triton.InferenceServerClient, address: str, photo: bytes, smiling: bytes, stranger: bytes
) -> None:
    """Pairs side by side: similarity and the decision of /verify, and nothing else."""
    pairs = [tensor("image1", [photo, photo]), tensor("image2", [smiling, stranger])]
    result = client.infer("sphereface", pairs, parameters={"far": 0.001})
    for other, similarity, same in zip(
        (smiling, stranger), result.as_numpy("similarity"), result.as_numpy("same_person"), strict=True
    ):
        upload = {"image1": photo, "image2": other}
        answer = httpx2.post(f"http://{address}/verify", files=upload, data={"far": "0.001"}, timeout=30).json()
        assert similarity == pytest.approx(answer["similarity"], abs=1e-6) and bool(same) is answer["same_person"]
    assert {each["name"] for each in result.get_response()["outputs"]} == {"similarity", "same_person"}


# Errors

FILE = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(crop(0)).decode()]}
BAD: list[tuple[str, dict[str, Any], int, str]] = [
    ("no inputs", {"inputs": []}, 400, "empty-body"),
    ("no file", {"inputs": [{**FILE, "shape": [0], "data": []}]}, 400, "empty-body"),
    ("an empty file", {"inputs": [{**FILE, "data": [""]}]}, 400, "empty-body"),
    ("pixels", {"inputs": [{**FILE, "datatype": "UINT8", "shape": [1, 2], "data": [[1, 2]]}]}, 400, "bad-parameter"),
    ("numbers", {"inputs": [{**FILE, "datatype": "FP32", "data": [1.0]}]}, 400, "bad-parameter"),
    ("not base64", {"inputs": [{**FILE, "data": ["?"]}]}, 400, "malformed-body"),
    ("no list", {"inputs": [{**FILE, "data": 5}]}, 400, "bad-parameter"),
    ("a shape that lies", {"inputs": [{**FILE, "shape": [2]}]}, 400, "bad-parameter"),
    ("a matrix of files", {"inputs": [{**FILE, "shape": [1, 1]}]}, 400, "bad-parameter"),
    ("a negative shape", {"inputs": [{**FILE, "shape": [-1]}]}, 400, "bad-parameter"),
    ("too many", {"inputs": [{**FILE, "shape": [5], "data": FILE["data"] * 5}]}, 422, "too-many-items"),
    ("twice", {"inputs": [FILE, FILE]}, 400, "bad-parameter"),
    ("an unknown input", {"inputs": [FILE, {**FILE, "name": "zoom"}]}, 400, "bad-parameter"),
    (
        "ragged numbers",
        {"inputs": [FILE, {"name": "style", "shape": [1, 2], "datatype": "FP32", "data": [[1], [1, 2]]}]},
        400,
        "bad-parameter",
    ),
    (
        "out of range",
        {"inputs": [FILE, {"name": "strength", "shape": [1], "datatype": "FP32", "data": [1e300]}]},
        400,
        "bad-parameter",
    ),
    (
        "a control of another shape",
        {"inputs": [FILE, {"name": "strength", "shape": [1, 1], "datatype": "FP32", "data": [[1]]}]},
        400,
        "bad-parameter",
    ),
    (
        "a control of more elements",
        {"inputs": [FILE, {"name": "strength", "shape": [2], "datatype": "FP32", "data": [1, 1]}]},
        400,
        "bad-parameter",
    ),
    (
        "a number in a file",
        {"inputs": [FILE, {"name": "strength", "shape": [1], "datatype": "BYTES", "data": ["MQ=="]}]},
        400,
        "bad-parameter",
    ),
    (
        "a number as text",
        {"inputs": [FILE, {"name": "strength", "shape": [1], "datatype": "FP32", "data": ["1"]}]},
        400,
        "bad-parameter",
    ),
    (
        "a control twice",
        {
            "inputs": [FILE, {"name": "strength", "shape": [1], "datatype": "FP32", "data": [1]}],
            "parameters": {"strength": 1},
        },
        400,
        "bad-parameter",
    ),
    ("an unknown output", {"inputs": [FILE], "outputs": [{"name": "embedding"}]}, 400, "bad-parameter"),
    (
        "shared memory",
        {"inputs": [FILE], "outputs": [{"name": "image", "parameters": {"shared_memory_region": "x"}}]},
        400,
        "bad-parameter",
    ),
    ("another model", {"inputs": [FILE], "parameters": {"model": "other"}}, 400, "bad-parameter"),
    ("many faces of one", {"inputs": [FILE], "parameters": {"faces": "all"}}, 400, "bad-parameter"),
    ("bytes of nobody", {"inputs": [{**FILE, "parameters": {"binary_data_size": 3}}]}, 400, "malformed-body"),
]


@pytest.mark.parametrize(("body", "status", "code"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_bad_input_is_a_problem_with_an_error(address: str, body: dict[str, Any], status: int, code: str) -> None:
    """Every refusal is problem+json, and has the member that the protocol's clients read."""
    body["parameters"] = {"faces": "aligned", **body.get("parameters", {})}
    answer = httpx2.post(f"http://{address}/v2/models/caricature/infer", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["error"].startswith(answer.json()["detail"])


@pytest.mark.parametrize(
    ("length", "sizes", "tail"),
    [
        ("x", [8], b"\4\0\0\0abcd"),
        ("-1", [8], b"\4\0\0\0abcd"),
        ("100000", [8], b"\4\0\0\0abcd"),
        (None, [7], b"\4\0\0\0abcd"),
        (None, [9], b"\4\0\0\0abcd"),
        (None, [-1], b""),
        (None, ["8"], b"\4\0\0\0abcd"),
        (None, [8], b"\5\0\0\0abcd"),
        (None, [3], b"\1\0\0"),
        (None, [5], b"\xff\xff\xff\xffa"),
    ],
)
def test_sizes_that_lie_are_malformed(address: str, length: str | None, sizes: list[Any], tail: bytes) -> None:
    """Lengths that do not fit the body are refused, whatever they are."""
    inputs = [{**FILE, "parameters": {"binary_data_size": size}} for size in sizes]
    header = json.dumps({"inputs": inputs}).encode()
    answer = httpx2.post(
        f"http://{address}/v2/models/caricature/infer",
        content=header + tail,
        headers={"Inference-Header-Content-Length": str(len(header)) if length is None else length},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-body"), answer.text


@pytest.mark.parametrize("more", [-1, 1])
def test_the_header_ends_where_it_is_said_to(address: str, more: int) -> None:
    """Bytes that no input has, and a header that is longer than the body, are refused though the JSON is whole."""
    content = json.dumps({"inputs": [FILE]}).encode()
    answer = httpx2.post(
        f"http://{address}/v2/models/caricature/infer",
        content=content + b" " * max(0, -more),
        headers={"Inference-Header-Content-Length": str(len(content) + max(0, more))},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-body"), answer.text


def test_a_compressed_body_is_refused(client: triton.InferenceServerClient) -> None:
    """As everywhere: what a small body unfolds to is not known before."""
    with pytest.raises(InferenceServerException, match=r"415.*Content-Encoding"):
        client.infer("caricature", [tensor("image", [crop(0)])], request_compression_algorithm="gzip")


def test_a_picture_that_cannot_be_drawn_is_named(client: triton.InferenceServerClient, photo: bytes) -> None:
    """One bad picture fails the request, and the client's exception says which it was."""
    for bad, said in ((b"no picture", "415"), (crop(0), r"422.*no face")):
        with pytest.raises(InferenceServerException, match=rf"{said}.*#/image/1"):
            client.infer("caricature", [tensor("image", [photo, bad])])
    with pytest.raises(InferenceServerException, match=r"422.*#/image2/0"):
        client.infer("sphereface", [tensor("image1", [photo]), tensor("image2", [crop(0)])])


def test_one_failure_lets_the_others_go(client: triton.InferenceServerClient, address: str, photo: bytes) -> None:
    """What is drawn for an answer that will not come is stopped, and counted as given up."""

    def given_up() -> float:
        lines = httpx2.get(f"http://{address}/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("likeness_requests_cancelled_total"))

    before = given_up()
    with pytest.raises(InferenceServerException, match="415"):
        client.infer("caricature", [tensor("image", [b"no picture", photo, photo, photo])])
    for _ in range(200):
        if given_up() > before:
            break
        time.sleep(0.01)
    else:
        raise AssertionError("nothing was given up")


def test_an_encoder_refuses_what_is_no_pair(client: triton.InferenceServerClient, photo: bytes) -> None:
    """One picture, more of one than of the other, another input, an uncalibrated rate."""
    one, two = tensor("image1", [photo]), tensor("image2", [photo])
    for inputs, parameters in (
        ([one], {}),
        ([one, tensor("image2", [photo, photo])], {}),
        ([one, two, tensor("strength", [1.0])], {}),
        ([one, two], {"far": 0.5}),
        ([one, two], {"strength": 1}),
    ):
        with pytest.raises(InferenceServerException, match="400"):
            client.infer("sphereface", inputs, parameters=parameters)


# Who may


def test_scopes_are_those_of_the_model_and_control_is_for_administrators(
    tmp_path: Path, models: Path, photo: bytes
) -> None:
    """A key for drawing does not compare, a stranger learns nothing, and administrators load and unload."""
    made = {scope: new_key(scope, [scope]) for scope in Scope}
    (tmp_path / "keys.toml").write_text("".join(entry for _, entry in made.values()))
    headers = {scope: {"X-API-Key": key} for scope, (key, _) in made.items()}
    settings = Settings(models=models, api_keys=tmp_path / "keys.toml", allow_model_control=True, log_level="error")
    body = {"inputs": [FILE], "parameters": {"faces": "aligned"}}
    with TestClient(create_app(settings)) as client:

        def status(method: str, path: str, scope: Scope | None, body: object = None) -> int:
            return client.request(method, path, json=body, headers=headers[scope] if scope else {}).status_code

        assert status("POST", "/v2/models/caricature/infer", Scope.TRANSLATE, body) == 200
        assert status("POST", "/v2/models/caricature/infer", Scope.VERIFY, body) == 403
        assert status("POST", "/v2/models/sphereface/infer", Scope.TRANSLATE, body) == 403
        assert status("POST", "/v2/models/sphereface/infer", Scope.VERIFY, body) == 400
        for path in ("/v2/models/caricature", "/v2/models/nothing"):
            assert status("GET", path, None) == 401
        assert status("POST", "/v2/models/caricature/infer", None, body) == 401
        assert status("GET", "/v2/health/ready", None) == 200
        load, unload = (f"/v2/repository/models/caricature/{action}" for action in ("load", "unload"))
        assert status("POST", load, Scope.TRANSLATE) == 403 and status("POST", unload, None) == 401
        assert status("POST", load, Scope.ADMIN, {"parameters": {"version": 1}}) == 200
        assert status("POST", load, Scope.ADMIN, {"parameters": {"config": "{}"}}) == 400
        assert status("POST", load, Scope.ADMIN, {"parameters": 5}) == 400
        assert status("POST", unload, Scope.ADMIN, {"parameters": {"unload_dependents": False}}) == 409


def test_every_element_counts_in_a_quota(tmp_path: Path, models: Path) -> None:
    """A request of many pictures is not one request to who counts them."""
    key, entry = new_key("app", [Scope.TRANSLATE])
    (tmp_path / "keys.toml").write_text(entry + "requests_per_second = 0.001\nburst = 2\n")
    settings = Settings(models=models, api_keys=tmp_path / "keys.toml", log_level="error")
    both = {**FILE, "shape": [2], "data": FILE["data"] * 2}
    body = {"inputs": [both], "parameters": {"faces": "aligned"}, "outputs": [{"name": "image"}]}
    with TestClient(create_app(settings)) as client:
        answers = [client.post("/v2/models/caricature/infer", json=body, headers={"X-API-Key": key}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    # What nobody wants to know is not worked out.
    assert "translate;" in answers[0].headers["server-timing"] and "identity" not in answers[0].headers["server-timing"]


def test_the_repository_by_its_client(address: str, client: triton.InferenceServerClient, tmp_path: Path) -> None:
    """Index, load and unload as the client knows them; without leave for it the last two are refused."""
    entries = {(each["name"], each["version"]): each["state"] for each in client.get_model_repository_index()}
    assert entries[("caricature", "1")] == "READY" and entries[("broken", "1")] == "UNAVAILABLE"
    assert {name for name, _ in entries} == {"caricature", "sphereface", "other", "faces", "broken"}
    ready = httpx2.post(f"http://{address}/v2/repository/index", json={"ready": True}).json()
    assert {each["state"] for each in ready} == {"READY"} and len(ready) < len(entries)
    for control in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="LIKENESS_ALLOW_MODEL_CONTROL"):
            control("other")
