"""deploy/prometheus and deploy/grafana: every query is about metrics and labels that the service has."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from service import errors
from service.main import create_app
from service.telemetry import PICTURE_PROBLEMS, SHED_REASONS, STAGES, Telemetry

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
RULE_TESTS = sorted(Path(__file__).parent.glob("rules_*test.yml"))
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
GRAFANA = ROOT / "deploy" / "grafana"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DASHBOARD = json.loads((GRAFANA / "dashboards" / "likeness.json").read_text())
PROMTOOL = shutil.which("promtool")
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
# What Prometheus and the queries add to the labels of a metric.
COMMON = {"job", "instance", "le"}
ROUTES = create_app().openapi()["paths"]
VALUES = {
    "reason": {*SHED_REASONS, *(errors.PROBLEMS[each].code for each in PICTURE_PROBLEMS)},
    "code": {errors.INTERNAL.code, *(problem.code for problem in errors.PROBLEMS.values())},
    "stage": set(STAGES),
}


def rules() -> Iterator[dict[str, Any]]:
    """Every rule of the file."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from group["rules"]


def panels() -> Iterator[dict[str, Any]]:
    """Every panel of the dashboard that shows something."""
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def queries() -> Mapping[str, list[str]]:
    """Every PromQL expression, by where it stands."""
    found = {rule.get("alert") or rule["record"]: [rule["expr"]] for rule in rules()}
    return found | {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in panels()}


def series() -> Mapping[str, tuple[str, ...]]:
    """The labels of every series that the service may have, by name."""
    found = {}
    for metric in vars(Telemetry()).values():
        if isinstance(metric, MetricWrapperBase):
            found |= {metric._name + suffix: metric._labelnames for suffix in SUFFIXES[metric._type]}
    return found


@pytest.mark.parametrize("place", queries())
def test_queries_name_what_the_service_has(place: str) -> None:
    """Metrics, the labels that are matched or grouped by, and the values of labels whose values are known."""
    known, recorded = series(), {rule["record"] for rule in rules() if "record" in rule}
    for query in queries()[place]:
        bare = re.sub(r'"[^"]*"', '""', query)
        used = set(re.findall(r"(?<![:\w])likeness_\w+", bare))
        assert used <= set(known), query
        read = set(re.findall(r"\b[a-z_]+:likeness_\w+:\w+", bare))
        assert read <= recorded, query
        labels = COMMON | {label for name in used for label in known[name]}
        # The name of a recorded series begins with its labels.
        labels |= {label for name in read for label in name.partition(":")[0].split("_")}
        if "container_" in query:
            labels |= {"container", "pod"}
        for group in re.findall(r"by \(([^)]*)\)", query):
            assert set(group.split(", ")) <= labels, query
        for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', query):
            assert label in labels, query
            if label == "route":
                assert any(re.fullmatch(each, path) for each in value.split("|") for path in ROUTES), query
            if label in VALUES and operator in ("=", "!="):
                assert value in VALUES[label], query


def test_latency_is_counted_at_a_bound_of_the_histogram() -> None:
    """A bucket that does not exist would make every answer slow."""
    bounds = {str(float(bound)) for bound in Telemetry().request_seconds._upper_bounds}
    asked = set(re.findall(r'le="([\d.]+)"', RULES.read_text()))
    assert asked and asked <= bounds


def test_alerts_say_how_bad_they_are_and_what_to_do() -> None:
    """Who is woken reads a sentence with a value, and where to look."""
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len({alert["alert"] for alert in alerts}) == len(alerts)
    for alert in alerts:
        assert alert["labels"]["severity"] in {"page", "ticket"} and alert["alert"].startswith("Likeness")
        assert set(alert["annotations"]) == {"summary", "description"}


def test_every_alert_is_tested() -> None:
    """For each there is a day on which it fires, and one on which it does not."""
    tests = [test for path in RULE_TESTS for test in yaml.safe_load(path.read_text())["tests"]]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == alerts


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", str(CONFIG)),
        ("check", "rules", "--lint-fatal", str(RULES)),
        ("test", "rules", *map(str, RULE_TESTS)),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_prometheus_accepts_it(arguments: tuple[str, ...]) -> None:
    """Prometheus' own tool reads the configuration, and the rules' tests pass."""
    assert PROMTOOL
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_can_be_read_and_do_not_overlap() -> None:
    """Each has its own number, a sentence and a unit, and its own place on the grid."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["description"] and panel["targets"], panel["title"]
        assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_the_dashboard_finds_its_data_wherever_it_is_imported() -> None:
    """Data source and job are chosen by whoever looks, not written into the panels."""
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "job"}
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}
    for panel in panels():
        for target in panel["targets"]:
            assert target["expr"].count("likeness_") == len(re.findall(r'likeness_\w+\{job=~"\$job"', target["expr"]))


def test_every_metric_is_on_the_dashboard() -> None:
    """What nobody looks at need not be measured."""
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    names = {metric._name for metric in vars(Telemetry()).values() if isinstance(metric, MetricWrapperBase)}
    assert {name for name in names if name not in shown} == set()


def test_compose_mounts_what_is_there() -> None:
    """Every file that a container reads is in the repository, and where its configuration says."""
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).exists(), volume
    config = yaml.safe_load(CONFIG.read_text())
    assert all((CONFIG.parent / name).exists() for name in config["rule_files"])
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "likeness.yml").read_text())["providers"]
    mounts = dict(volume.split(":")[:2][::-1] for volume in COMPOSE["services"]["grafana"]["volumes"])
    assert Path(mounts[provider["options"]["path"]]) == Path("deploy/grafana/dashboards")
    (source,) = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    host, port = source["url"].removeprefix("http://").split(":")
    assert any(each.startswith(f"{port}:") for each in COMPOSE["services"][host]["ports"])
