"""The checks of ``daogou doctor``: each one thing, each in one line."""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from contracts.errors import DaogouError
from contracts.settings import Settings
from contracts.surface_file import load_surfaces
from inference.session import check_runtime
from inference.stages import build
from launch.wiring import find_bundle
from streams.admin import check_topics, lag
from streams.store import open_store


class Finding(Struct, frozen=True):
    """What was looked at, whether it is well, and what there is to say."""

    what: str
    ok: bool
    says: str


def diagnose(settings: Settings) -> tuple[Finding, ...]:
    """All checks; one that fails does not keep the others from running."""
    checks: tuple[tuple[str, Callable[[Settings], str]], ...] = (
        ("settings", _settings),
        ("ONNX Runtime", lambda _: check_runtime()),
        ("bundle", _bundle),
        ("surfaces", _surfaces),
        ("Kafka and its topics", _topics),
        ("unread records", _gaps),
        ("Redis", _store),
    )
    return tuple(_checked(what, check, settings) for what, check in checks)


def _checked(what: str, check: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(what, True, check(settings))
    except DaogouError as error:
        return Finding(what, False, str(error))


def _settings(settings: Settings) -> str:
    return (
        f"{settings.environment.value}; Kafka at {settings.kafka.bootstrap_servers} ({settings.kafka.security.value})"
    )


def _bundle(settings: Settings) -> str:
    bundle = find_bundle(settings.model)
    if bundle is None:
        return "none: slates come from the fallback scorer (DAOGOU_MODEL__BUNDLE)"
    return f"{bundle.manifest.name} {bundle.digest[:16]}, {len(bundle.manifest.files)} files as the manifest says"


def _surfaces(settings: Settings) -> str:
    found = load_surfaces(settings.surfaces)
    build(found, settings.engine)
    return f"{', '.join(found.names)} ({found.origin if settings.surfaces else 'as shipped'})"


def _topics(settings: Settings) -> str:
    return f"{len(check_topics(settings.kafka))} topics as the table says"


def _gaps(settings: Settings) -> str:
    parts = lag(settings.kafka, settings.stream.group)
    gap, behind = sum(part.gap for part in parts), sum(part.lag for part in parts)
    if gap:
        raise DaogouError(f"{gap:,} records were deleted before {settings.stream.group} had read them (retention)")
    return f"{behind:,} to read, none deleted unread"


def _store(settings: Settings) -> str:
    async def check() -> None:
        store = open_store(settings)
        try:
            await store.check()
        finally:
            await store.close()

    asyncio.run(check())
    return "answers" + (", and says what is on its disk" if settings.redis.wait_for_disk else "")
