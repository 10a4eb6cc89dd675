"""The container files against the repository: no engine is needed to know that paths, versions and settings agree."""

import re
from pathlib import Path

import pytest
import yaml

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


def test_services_depend_on_services() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    wanted = {name for service in services.values() for name in service.get("depends_on", {})}
    assert wanted <= set(services)


def test_kafka_is_the_version_that_the_tests_use() -> None:
    lock = (ROOT / "launch/embedded").glob("*lock*")
    tested = {v for file in lock for v in re.findall(r'kafka_2\.13"?.*?version = "([\d.]+)"', file.read_text(), re.S)}
    assert tested
    assert re.findall(r"apache/kafka:([\d.]+)", COMPOSE) == sorted(tested)
