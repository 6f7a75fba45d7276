"""service.openapi: the document names what the routes take and answer, and its page asks nobody else."""

import json
from collections.abc import Iterator

from fastapi.testclient import TestClient

from service.errors import PROBLEMS


def test_openapi_documents_bodies_options_and_every_problem(client: TestClient) -> None:
    """The document names each body kind, each option, and each code of the table that a route can answer."""
    document = client.get("/openapi.json").json()
    translate, verify = (document["paths"][path]["post"] for path in ("/translate", "/verify"))
    assert set(translate["requestBody"]["content"]) == {"multipart/form-data", "application/json", "image/*"}
    assert set(verify["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
    for content in ("multipart/form-data", "application/json"):
        schema = translate["requestBody"]["content"][content]["schema"]
        assert schema["required"] == ["image"] and "a drawing" in schema["properties"]["exemplar"]["description"]
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
