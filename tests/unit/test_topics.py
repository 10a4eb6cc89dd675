"""One table of topics: names are unique and stand nowhere else, keys decide how a topic is kept."""

import ast
from pathlib import Path

import pytest

from contracts.settings import load_settings
from contracts.topics import CATALOGUE, CLICKSTREAM, DAY_MS, RECOMMENDATIONS, TOPICS, Cleanup, Topic
from streams.names import physical

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "inference", "streams", "training", "export", "launch")


def test_names_are_unique_and_legal_with_the_longest_prefix() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(set(names)) == len(names)
    kafka = load_settings(kafka={"topic_prefix": "p" * 64}).kafka
    assert all(len(physical(kafka, topic)) < 249 for topic in TOPICS)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz.-") for name in names)


def test_clicks_and_slates_have_the_same_partitions() -> None:
    """A slate goes to its click's partition, so that ``verify`` and readers find both in one place."""
    assert CLICKSTREAM.partitions == RECOMMENDATIONS.partitions == 0


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_what_is_deleted_says_when_and_what_is_compacted_stays(topic: Topic) -> None:
    if topic.cleanup is Cleanup.COMPACT:
        assert topic.configs == {"cleanup.policy": "compact", "retention.ms": "-1"}
    else:
        assert int(topic.configs["retention.ms"]) >= 7 * DAY_MS


def test_the_catalogue_is_never_lost() -> None:
    assert CATALOGUE.cleanup is Cleanup.COMPACT


def test_names_stand_only_in_the_table() -> None:
    """A name with a dot, or one given to ``physical`` as a text, would be a second table."""
    dotted = {topic.name for topic in TOPICS if "." in topic.name}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if path != ROOT / "contracts" / "topics.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in dotted
    ]
    assert found == []
