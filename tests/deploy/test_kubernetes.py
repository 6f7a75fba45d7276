"""deploy/kubernetes: what Kubernetes accepts, and what the service has: routes, ports, settings, times, metrics."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service import __version__
from service.main import create_app
from service.settings import Settings
from service.telemetry import Telemetry

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
COMPONENTS = sorted(path.parent for path in FOLDER.glob("components/*/kustomization.yaml"))
LAST_SECONDS = 5  # for the last traces, and for the interpreter to go

Resource = dict[str, Any]


def added(document: Any, pointer: str, value: Any) -> None:
    """JSON Patch's `add` (RFC 6902), in place."""
    *parents, last = pointer.strip("/").split("/")
    for name in parents:
        document = document[int(name)] if isinstance(document, list) else document[name]
    if isinstance(document, list):
        document.insert(len(document) if last == "-" else int(last), value)
    else:
        document[last] = value


def resources(*components: Path) -> dict[str, Resource]:
    """Every resource by its kind, with the patches of the components."""
    found = [yaml.safe_load((FOLDER / name).read_text()) for name in KUSTOMIZATION["resources"]]
    by_kind = {each["kind"]: each for each in found}
    assert len(by_kind) == len(found)
    for component in components:
        for patch in yaml.safe_load((component / "kustomization.yaml").read_text())["patches"]:
            target = by_kind[patch["target"]["kind"]]
            assert target["metadata"]["name"] == patch["target"]["name"]
            for operation in yaml.safe_load(patch["patch"]):
                assert operation["op"] == "add"
                added(target, operation["path"], operation["value"])
    return by_kind


CHOICES = [choice for size in range(len(COMPONENTS) + 1) for choice in itertools.combinations(COMPONENTS, size)]


@pytest.fixture(name="pod")
def pod_() -> Resource:
    """The pod's specification."""
    pod: Resource = resources()["Deployment"]["spec"]["template"]["spec"]
    return pod


@pytest.fixture(name="container")
def container_(pod: Resource) -> Resource:
    """Its one container."""
    (container,) = pod["containers"]
    return container


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "+".join(each.name for each in choice) or "plain")
@pytest.mark.parametrize("version", ["1.30", "latest"])
def test_kubernetes_accepts_every_resource(choice: tuple[Path, ...], version: str) -> None:
    """Alone and with any components, by the oldest version that is promised and the newest; no field is unknown."""
    wanted = kubernetes_validate.latest_version() if version == "latest" else version
    for resource in resources(*choice).values():
        kubernetes_validate.validate(resource, wanted, strict=True)


def test_every_manifest_is_applied_and_none_names_a_namespace() -> None:
    """A file that the kustomization forgets would be dead; a namespace would tie it to one place."""
    known = {*KUSTOMIZATION["resources"], "kustomization.yaml", "prometheus-adapter.yaml"}
    assert {path.name for path in FOLDER.glob("*.yaml")} == known
    assert not any("namespace" in each["metadata"] for each in resources().values())


def test_everything_is_about_the_same_pods() -> None:
    """Service, budget, policy and autoscaler mean the pods of the deployment."""
    kinds = resources()
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert kinds["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    target = kinds["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", kinds["Deployment"]["metadata"]["name"])


def test_the_image_is_of_this_version() -> None:
    """What is deployed is what the repository holds."""
    (image,) = KUSTOMIZATION["images"]
    assert (
        image["newTag"] == __version__
        and image["name"] == resources()["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
    )


def test_probes_ask_routes_that_exist(container: Resource) -> None:
    """Ready is asked where models are, alive where only the process is."""
    routes = create_app().openapi()["paths"]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert all("get" in routes[probe["path"]] for probe in probes.values())
    assert probes["readiness"]["path"] == probes["startup"]["path"] == "/readyz"
    assert probes["liveness"]["path"] == "/livez"


def test_ports_agree(container: Resource) -> None:
    """The image listens where the container says, and everybody else names that port."""
    kinds = resources()
    (port,) = container["ports"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert set(re.findall(r'"--port", "(\d+)"', dockerfile)) == {str(port["containerPort"])}
    assert {container[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "readiness", "liveness")} == {
        port["name"]
    }
    assert kinds["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    assert kinds["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"] == port["name"]
    annotations = kinds["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])
    assert "get" in create_app().openapi()["paths"][annotations["prometheus.io/path"]]


def test_a_pod_is_killed_only_after_it_could_have_drained(pod: Resource, container: Resource) -> None:
    """preStop, the service's drain and its last seconds fit into the grace period; a request fits into the drain."""
    settings = resources()["ConfigMap"]["data"]
    grace, deadline = float(settings["LIKENESS_GRACE"]), float(settings["LIKENESS_DEADLINE"])
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= before + grace + LAST_SECONDS
    assert grace > deadline


def test_no_request_is_lost_while_a_version_is_rolled_out() -> None:
    """No pod goes before its successor is ready, and a drain of nodes takes one at a time."""
    kinds = resources()
    assert kinds["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert (
        kinds["HorizontalPodAutoscaler"]["spec"]["minReplicas"] > kinds["PodDisruptionBudget"]["spec"]["maxUnavailable"]
    )
    assert "replicas" not in kinds["Deployment"]["spec"]


def environment(kinds: dict[str, Resource]) -> Iterator[tuple[str, str]]:
    """What the container's environment will be."""
    yield from kinds["ConfigMap"]["data"].items()
    container = kinds["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    for each in container["env"]:
        assert each["valueFrom"]["resourceFieldRef"]["resource"] == "limits.cpu"
        yield each["name"], container["resources"]["limits"]["cpu"]


def test_settings_exist_and_take_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that was renamed would be ignored in silence."""
    given = dict(environment(resources(*COMPONENTS)))
    ours = {name.removeprefix("LIKENESS_").lower() for name in given if name.startswith("LIKENESS_")}
    assert ours <= set(Settings.model_fields)
    assert all(name.startswith(("LIKENESS_", "OTEL_")) for name in given)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert Settings().threads == 2 and Settings().fetch_urls


def test_keys_are_where_the_setting_says() -> None:
    """The Secret is mounted, read-only, below the path of the file of keys."""
    (component,) = (each for each in COMPONENTS if each.name == "api-keys")
    kinds = resources(component)
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    path = Path(kinds["ConfigMap"]["data"]["LIKENESS_API_KEYS"])
    (mount,) = (each for each in pod["containers"][0]["volumeMounts"] if Path(each["mountPath"]) == path.parent)
    (volume,) = (each for each in pod["volumes"] if each["name"] == mount["name"])
    assert mount["readOnly"] and not volume["secret"].get("optional")
    assert f"--from-file={path.name}" in (component / "kustomization.yaml").read_text()


def test_a_pod_can_do_little(pod: Resource, container: Resource) -> None:
    """The image's own user, no capability, no token, no disk."""
    (user,) = set(re.findall(r"^USER (\d+):\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == int(user)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all(volume["emptyDir"]["medium"] == "Memory" for volume in pod["volumes"])


def test_nothing_goes_out_unless_a_component_needs_it() -> None:
    """The service calls nobody by itself; pictures by URL never reach into the cluster."""
    plain = resources()["NetworkPolicy"]["spec"]
    assert plain["policyTypes"] == ["Ingress", "Egress"] and plain["egress"] == []
    (fetching,) = (each for each in COMPONENTS if each.name == "url-fetching")
    dns, web = resources(fetching)["NetworkPolicy"]["spec"]["egress"]
    assert {port["port"] for port in dns["ports"]} == {53} and {port["port"] for port in web["ports"]} == {443}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(web["to"][0]["ipBlock"]["except"])


def test_pictures_fit_into_the_memory(pod: Resource, container: Resource) -> None:
    """What requests, batches and the folder in memory may take leaves the process half a gigabyte of its limit."""
    data = resources()["ConfigMap"]["data"]
    pictures = int(data["LIKENESS_MAX_MEMORY"]) + int(data["LIKENESS_MAX_BATCH_MEMORY"])
    (folder,) = (volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"])
    assert (container["resources"]["limits"]["memory"], folder) == ("2Gi", "64Mi")
    assert pictures + 64 * 2**20 + 512 * 2**20 < 2 * 2**30


def test_jobs_are_off_where_there_are_several_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job could not be found again."""
    for name, value in resources()["ConfigMap"]["data"].items():
        monkeypatch.setenv(name, value)
    assert not Settings().jobs and resources()["HorizontalPodAutoscaler"]["spec"]["maxReplicas"] > 1


def test_the_autoscaler_follows_a_metric_that_the_service_has() -> None:
    """The adapter offers the predicted wait under the name that the autoscaler asks for, by pod."""
    metrics = resources()["HorizontalPodAutoscaler"]["spec"]["metrics"]
    (pods,) = (each["pods"] for each in metrics if each["type"] == "Pods")
    (rule,) = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())["rules"]
    name = pods["metric"]["name"]
    assert name in {family.name for family in Telemetry().registry.collect()}
    assert rule["seriesQuery"].startswith(name + "{") and set(rule["resources"]["overrides"]) == {"namespace", "pod"}
