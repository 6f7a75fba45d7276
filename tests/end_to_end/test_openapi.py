"""The OpenAPI document is true: requests that Schemathesis makes of it, sound and not, get answers that it promises."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from export.repository import publish
from service.access import Scope, new_key
from service.main import create_app
from service.problems import MEDIA_TYPE
from service.settings import Settings
from service.uploads import FORM
from tests.processes import Process, serving

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of an operation

DOCUMENT = create_app(Settings()).openapi()
OPERATIONS = [f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods]
KEY, ENTRY = new_key("tester", Scope)
HEADERS = {"Authorization": f"Bearer {KEY}"}
UNAVAILABLE = (503, 504, 507)  # what a server may say of itself, if it is documented
FEW, MANY = 4, 1000  # of MANY some are right, so that operations are seen to work too
TENSORS = (["image"], ["image1", "image2"])  # of a translator, of an encoder
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@dataclass(frozen=True)
class Known:
    """What the service has: values of path parameters that lead somewhere, and a photo with a face."""

    values: dict[str, list[str]]
    photo: bytes


@pytest.fixture(scope="module", name="service")
def service_(
    tmp_path_factory: pytest.TempPathFactory,
    models: Path,
    translator_file: bytes,
    style_reader_file: bytes,
    generator_file: bytes,
) -> Iterator[Process]:
    """The service with everything that can be turned on, models of all roles, and one that may be unloaded."""
    folder = tmp_path_factory.mktemp("service")
    for name in ("caricature", "sphereface", "landmarks"):
        (folder / "models" / name).parent.mkdir(exist_ok=True)
        (folder / "models" / name).symlink_to(models / name)
    publish(folder / "models", "sketch", 1, {"model.onnx": translator_file})
    publish(folder / "models", "style", 1, {"model.onnx": style_reader_file})
    publish(folder / "models", "faces", 1, {"model.onnx": generator_file})
    (folder / "keys.toml").write_text(ENTRY)
    knobs = {
        "API_KEYS": str(folder / "keys.toml"),
        "ALLOW_MODEL_CONTROL": "true",
        "MAX_JOBS": "9999",
        "MAX_CLIENT_JOBS": "9999",
    }
    with serving(folder / "models", folder, **{f"LIKENESS_{name}": knob for name, knob in knobs.items()}) as service:
        yield service


@pytest.fixture(scope="module", name="schema")
def schema_(service: Process) -> Any:
    """The document that this service serves."""
    return schemathesis.openapi.from_url(f"{service.address}/openapi.json")


@pytest.fixture(name="known")
def known_(service: Process, photo: bytes) -> Known:
    """Models, versions, and a job with a drawing and a problem."""
    files = [("image", photo), ("image", photo[:1000])]
    job = httpx2.post(f"{service.address}/jobs", files=files, headers=HEADERS).json()
    names = ["caricature", "sphereface", "sketch"]
    return Known({"name": names, "version": ["1", "2"], "id": [job["id"]], "number": ["0", "1"]}, photo)


def plausible(case: Case, known: Known, draw: st.DrawFn) -> Case:
    """The case with parameters that lead somewhere and pictures that show somebody: what reaches the models."""
    for name in case.path_parameters:
        case.path_parameters[name] = draw(st.sampled_from(known.values[name]))
    encoded = base64.b64encode(known.photo).decode()
    if isinstance(case.body, dict):
        picture: bytes | str = known.photo if case.media_type == FORM else encoded
        for name in case.body.keys() & {"image", "exemplar", "image1", "image2", "images"}:
            case.body[name] = [picture] * 2 if isinstance(case.body[name], list) else picture
        if "inputs" in case.body:
            tensor = {"shape": [1], "datatype": "BYTES", "data": [encoded]}
            case.body["inputs"] = [{"name": name, **tensor} for name in draw(st.sampled_from(TENSORS))]
    elif case.media_type and case.media_type.startswith("image/"):
        case.body, case.media_type = known.photo, "image/jpeg"
    return case


@st.composite
def cases(draw: st.DrawFn, operation: Any, known: Known) -> Case:
    """Requests that the document allows and, where anything may be wrong with one, some that it does not."""
    raw = operation.definition.raw
    fallible = "requestBody" in raw or any(each["in"] != "path" for each in raw.get("parameters", ()))
    mode = draw(st.sampled_from(GenerationMode if fallible else [GenerationMode.POSITIVE]))
    case = draw(operation.as_strategy(generation_mode=mode))
    return plausible(case, known, draw) if draw(st.booleans()) else case


def keeps(case: Case, answer: Any) -> None:
    """The document has the answer's status, type, headers and schema, and if it is a problem its code."""
    status, documented = answer.status_code, case.operation.definition.raw["responses"]
    assert status < 500 or status in UNAVAILABLE, answer.text
    if status >= 400:
        members = answer.json()
        assert answer.headers["content-type"] == [MEDIA_TYPE] and members["status"] == status
        if members["code"] != "not-found":  # a slash within a parameter leads elsewhere
            assert f"`{members['code']}`" in documented[str(status)]["description"], members
    else:
        assert str(status) in documented
    case.validate_response(answer, checks=CHECKS)


@pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.full)])
@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_as_documented(service: Process, schema: Any, known: Known, label: str, examples: int) -> None:
    """Whatever is asked of an operation: no failure, and an answer whose status, type and schema are documented."""
    operation = schema.find_operation_by_label(label)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(operation, known))
    def check(case: Case) -> None:
        answer = case.call(base_url=service.address, session=session, headers=HEADERS)
        keeps(case, answer)
        statuses.add(answer.status_code)

    statuses: set[int] = set()
    with requests.Session() as session:
        check()
    assert min(statuses) < 300 or examples == FEW
    assert service.popen.poll() is None
