"""Settings are frozen, come from the environment, and say what is wrong with them; unsafe ones are refused."""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from contracts.errors import SettingsRefused
from contracts.settings import EngineSettings, Settings, engine_digest, load_settings
from launch.cli import run

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "inference", "streams", "training", "export", "storefront", "launch")
SAFE: dict[str, Any] = {
    "environment": "production",
    "kafka": {"security": "SASL_SSL", "username": "daogou", "password": "hunter2", "replication": 3},
}


def test_the_environment_is_read_and_arguments_come_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAOGOU_KAFKA__BOOTSTRAP_SERVERS", "broker:9092")
    monkeypatch.setenv("DAOGOU_KAFKA__PARTITIONS", "12")
    settings = load_settings(kafka={"partitions": 3})
    assert (settings.kafka.bootstrap_servers, settings.kafka.partitions) == ("broker:9092", 3)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"kafka": {"partitions": 0}}, "kafka.partitions (DAOGOU_KAFKA__PARTITIONS)"),
        ({"kafka": {"partitions": "many"}}, "DAOGOU_KAFKA__PARTITIONS"),
        ({"kafka": {"security": "PLAIN"}}, "'PLAINTEXT', 'SSL' or 'SASL_SSL'"),
        ({"kafka": {"topic_prefix": "a b"}}, "DAOGOU_KAFKA__TOPIC_PREFIX"),
        ({"kafka": {"nonsense": 1}}, "DAOGOU_KAFKA__NONSENSE"),
        ({"kafka": {"security": "SASL_SSL"}}, "kafka.username"),
        ({"redis": {"profile_ttl_days": 0}}, "DAOGOU_REDIS__PROFILE_TTL_DAYS"),
        ({"redis": {"timeout": -1}}, "DAOGOU_REDIS__TIMEOUT"),
        ({"stream": {"batch": 0}}, "DAOGOU_STREAM__BATCH"),
        ({"engine": {"temperature": "hot"}}, "DAOGOU_ENGINE__TEMPERATURE"),
        ({"model": {"provider": "tpu"}}, "'cpu' or 'cuda'"),
        ({"environment": "staging"}, "DAOGOU_ENVIRONMENT"),
        ({"nonsense": 1}, "DAOGOU_NONSENSE"),
    ],
)
def test_what_cannot_be_is_refused_by_name(given: dict[str, Any], names: str) -> None:
    with pytest.raises(SettingsRefused) as caught:
        load_settings(**given)
    assert names in str(caught.value)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(SettingsRefused) as caught:
        load_settings(kafka={"partitions": 0}, stream={"batch": 0})
    assert "KAFKA__PARTITIONS" in str(caught.value)
    assert "STREAM__BATCH" in str(caught.value)


@pytest.mark.parametrize(
    ("unsafe", "names"),
    [
        ({"kafka": {"replication": 3}}, "kafka.security"),
        ({"kafka": SAFE["kafka"] | {"replication": 1}}, "kafka.replication"),
        ({"redis": {"wait_for_disk": False}}, "redis.wait_for_disk"),
        ({"kafka": SAFE["kafka"] | {"password": ""}}, "kafka.username"),
    ],
)
def test_production_refuses_what_development_allows(unsafe: dict[str, Any], names: str) -> None:
    assert load_settings(**SAFE).kafka.replication == 3
    with pytest.raises(SettingsRefused, match=names):
        load_settings(**(SAFE | unsafe))


def test_secrets_are_not_shown() -> None:
    settings = load_settings(**SAFE, redis={"url": "redis://:hidden@localhost/0"})
    assert "hunter2" not in repr(settings)
    assert "hidden" not in repr(settings)


def test_nothing_can_be_changed_later() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.kafka.partitions = 1  # type: ignore[misc]


def test_every_setting_says_what_it_means() -> None:
    missing = [f"{section.__name__}.{name}" for section in _sections(Settings) for name in _silent(section)]
    assert missing == []


def _sections(top: type[BaseModel]) -> list[type[BaseModel]]:
    inner = [f.annotation for f in top.model_fields.values() if inspect.isclass(f.annotation)]
    return [top, *(part for part in inner if issubclass(part, BaseModel))]


def _silent(section: type[BaseModel]) -> list[str]:
    return [name for name, field in section.model_fields.items() if not field.description]


def test_the_digest_of_the_engine_changes_with_each_of_its_settings() -> None:
    plain, digests = EngineSettings(), set()
    for name, value in plain.model_dump().items():
        changed = plain.model_copy(update={name: value + 1})
        digests.add(engine_digest(changed))
    assert len(digests | {engine_digest(plain)}) == len(EngineSettings.model_fields) + 1
    assert engine_digest(plain) == engine_digest(EngineSettings())


def test_only_the_settings_read_the_environment() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if _reads_environment(path.read_text())
    ]
    assert readers == ["contracts/settings.py"]


def _reads_environment(source: str) -> bool:
    names = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    return bool(names & {"environ", "getenv", "environb"})


def test_the_docs_page_is_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert run(["settings", "--markdown"]) == 0
    assert (Path(__file__).parents[2] / "docs/settings.md").read_text() == capsys.readouterr().out


def test_what_is_in_force_is_shown_but_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAOGOU_ENGINE__SLATE_SIZE", "7")
    monkeypatch.setenv("DAOGOU_REDIS__URL", "redis://:hunter2@there:6379/0")
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["settings"]) == 0
    shown = capsys.readouterr().out
    assert "DAOGOU_ENGINE__SLATE_SIZE" in shown
    assert "hunter2" not in shown
