"""The container files against the repository: no engine is needed to know that paths, versions and settings agree."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from contracts.metrics import Metrics
from contracts.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
COMPOSE = (ROOT / "docker/compose.yaml").read_text()


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M)
    return [source for line in lines for source in line.split()[:-1]]


@pytest.mark.parametrize("path", copied())
def test_what_is_copied_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"DAOGOU_[A-Z_]+", DOCKERFILE + COMPOSE))))
def test_variables_are_settings(name: str) -> None:
    model: type = Settings
    for part in name.removeprefix("DAOGOU_").lower().split("__"):
        assert part in model.model_fields  # type: ignore[attr-defined]
        model = model.model_fields[part].annotation  # type: ignore[attr-defined]


def metrics_asked() -> list[tuple[str, str]]:
    """(where, PromQL) of every rule and every panel."""
    rules = yaml.safe_load((ROOT / "docker/prometheus/rules.yml").read_text())
    board = msgspec.json.decode((ROOT / "docker/grafana/dashboards/daogou.json").read_bytes())
    alerts = [(rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"]]
    return alerts + [(panel["title"], each["expr"]) for panel in board["panels"] for each in panel["targets"]]


@pytest.mark.parametrize(("where", "expression"), metrics_asked())
def test_rules_and_panels_ask_for_metrics_that_there_are(where: str, expression: str) -> None:
    known = {}
    for family in Metrics().registry.collect():
        for suffix in {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""]):
            known[family.name + suffix] = family
    asked = re.findall(r"\bdaogou_\w+", expression)
    assert set(asked) <= set(known), where
    assert asked or "up{" in expression, where
    labels = {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(", ")} - {"le"}
    of = {label for metric in vars(Metrics()).values() for label in getattr(metric, "_labelnames", ())}
    assert labels <= of, where


def test_prometheus_looks_where_the_services_listen() -> None:
    scraped = (ROOT / "docker/prometheus/prometheus.yml").read_text()
    services = yaml.safe_load(COMPOSE)["services"]
    assert f"api:{Settings().api.port}" in scraped
    assert f"port: {re.findall('METRICS_PORT=([0-9]+)', DOCKERFILE)[0]}" in scraped
    assert {"worker", "worker-gpu", "api"} <= set(services)
    for name in re.findall(r"\./([\w./-]+):", COMPOSE):
        assert (ROOT / "docker" / name).exists(), name


def test_services_depend_on_services() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    wanted = {name for service in services.values() for name in service.get("depends_on", {})}
    assert wanted <= set(services)


def test_kafka_is_the_version_that_the_tests_use() -> None:
    lock = (ROOT / "launch/embedded").glob("*lock*")
    tested = {v for file in lock for v in re.findall(r'kafka_2\.13"?.*?version = "([\d.]+)"', file.read_text(), re.S)}
    assert tested
    assert re.findall(r"apache/kafka:([\d.]+)", COMPOSE) == sorted(tested)
