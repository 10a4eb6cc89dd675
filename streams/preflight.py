"""What a worker needs of Kafka, looked at before Faust starts: Faust idles, or loses outputs, where a right is missing.

Without READ on a topic its agent waits for ever behind a "ready" line; without READ on the group it never gets that
far; without WRITE its outputs are refused, and nothing says so before the first of them.
"""

from collections.abc import Mapping, Sequence

from contracts.errors import AccessRefused
from contracts.settings import Settings
from contracts.topics import CATALOGUE, CLICKSTREAM, DEAD_LETTERS, EMBEDDINGS, RECOMMENDATIONS, RULES, Topic
from streams.admin import TopicState, admin_client, check_topics, committed_offsets

READ, WRITE = "READ", "WRITE"

#: What a worker does with each topic. The rest of the table is others' business.
RIGHTS: Mapping[Topic, tuple[str, ...]] = {
    CLICKSTREAM: (READ,),
    CATALOGUE: (READ,),
    EMBEDDINGS: (READ, WRITE),
    RULES: (READ,),
    RECOMMENDATIONS: (WRITE,),
    DEAD_LETTERS: (WRITE,),
}


def check_worker(settings: Settings) -> None:
    """Login, certificate, topics, rights on topics and group; each refusal in one line. Blocking, well under a second.

    Raises:
        AccessRefused, TopicsRefused, SettingsRefused: naming all that is wrong and what to change.
        BrokerUnavailable: nobody answers.
    """
    states = check_topics(settings.kafka, tuple(RIGHTS))
    lacking = [each for rights, state in zip(RIGHTS.values(), states, strict=True) for each in _lacking(rights, state)]
    if lacking:
        raise AccessRefused(f"the login {settings.kafka.username!r} lacks in Kafka: {', '.join(lacking)}")
    _check_group(settings)


def _lacking(rights: Sequence[str], state: TopicState) -> Sequence[str]:
    if not state.allowed:  # a broker that cannot say
        return ()
    return [f"{right} on topic {state.topic}" for right in rights if right not in state.allowed]


def _check_group(settings: Settings) -> None:
    group = settings.stream.group
    try:
        with admin_client(settings.kafka) as client:
            committed_offsets(client, settings.kafka, group)
    except AccessRefused as error:
        raise AccessRefused(
            f"the login {settings.kafka.username!r} lacks in Kafka: {READ} on group {group} (DAOGOU_STREAM__GROUP)"
        ) from error
