"""Kafka's jars: fetched once, from the versions and checksums of ``kafka.lock.toml``, verified at every start.

The lock holds group, artifact, version and sha256 of each jar and no address. Nothing is resolved at run time, so a
changed POM cannot change what runs. ``python -m launch.embedded.jars`` writes the lock anew.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import requests
from filelock import FileLock
from jgo.env import LockFile
from jgo.maven import MavenContext

from contracts.errors import EnvironmentRefused

LOCK = Path(__file__).with_name("kafka.lock.toml")
#: The ``!`` keeps the log binding from being read as a bill of materials, which would downgrade Kafka's own jars.
ENDPOINT = "org.apache.kafka:kafka_2.13:4.3.1+org.apache.logging.log4j:log4j-slf4j-impl:2.25.3!"
FETCHERS = 8
MEGABYTES = 45

Say = Callable[[str], None]


def kafka_version() -> str:
    """The version of Kafka that the lock names."""
    return str(next(d.version for d in LockFile.load(LOCK).dependencies if d.artifactId == "kafka_2.13"))


def class_path(cache: Path, given: Path | None = None, say: Say = lambda _: None) -> tuple[Path, ...]:
    """Every jar of the lock, present and verified; fetched into ``cache`` where missing.

    ``given`` is a folder that has the jars already (flat, by their Maven file names): nothing is fetched then.

    Raises:
        EnvironmentRefused: a jar differs from its checksum, or cannot be had; the message names the ways out.
    """
    locked = LockFile.load(LOCK).dependencies
    if given is not None:
        return tuple(_given(given, dependency) for dependency in locked)
    with _only_one(cache):
        context = MavenContext(repo_cache=cache)
        missing = sum(not _usable(_path(cache, d), d, say) for d in locked)
        if missing:
            say(f"fetching {missing} jars of Apache Kafka {kafka_version()} ({MEGABYTES} MB if all, once)")
        with ThreadPoolExecutor(FETCHERS) as pool:
            return tuple(pool.map(lambda d: _fetched(context, cache, d), locked))


@contextmanager
def _only_one(cache: Path) -> Iterator[None]:
    """Two first starts at once would read each other's half-written files."""
    lock = FileLock(cache / ".lock")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise EnvironmentRefused(
            f"{cache} cannot be written ({error.strerror}); set DAOGOU_EMBEDDED__CACHE to a folder that can"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _file_name(dependency: object) -> str:
    d = dependency
    classifier = f"-{d.classifier}" if getattr(d, "classifier", None) else ""  # type: ignore[attr-defined]
    return f"{d.artifactId}-{d.version}{classifier}.{d.packaging}"  # type: ignore[attr-defined]


def _path(cache: Path, dependency: object) -> Path:
    d = dependency
    return cache.joinpath(*d.groupId.split("."), d.artifactId, d.version, _file_name(d))  # type: ignore[attr-defined]


def _given(folder: Path, dependency: object) -> Path:
    path = folder / _file_name(dependency)
    if not path.exists():
        raise EnvironmentRefused(f"{folder} lacks {path.name}, which Kafka needs (the list is {LOCK.name})")
    if not _matches(path, dependency):
        raise EnvironmentRefused(f"{path} is not the file of {LOCK.name}: its sha256 differs")
    return path


def _usable(path: Path, dependency: object, say: Say) -> bool:
    """Whether the cache has the jar. A file that is another one (half a download, for example) is removed."""
    if path.exists() and not _matches(path, dependency):
        say(f"{path.name} in the cache is not the file of {LOCK.name} (its sha256 differs): removed")
        path.unlink()
    return path.exists()


def _fetched(context: MavenContext, cache: Path, dependency: object) -> Path:
    d = dependency
    path = _path(cache, d)
    if path.exists():  # and verified a moment ago
        return path
    artifact = context.project(d.groupId, d.artifactId).at_version(d.version)  # type: ignore[attr-defined]
    try:
        artifact.artifact(packaging=d.packaging, classifier=getattr(d, "classifier", None) or "").resolve()  # type: ignore[attr-defined]
    except (requests.RequestException, OSError, RuntimeError) as error:
        raise _unreachable(_file_name(d)) from error
    if not path.exists():
        raise _unreachable(_file_name(d))
    if not _matches(path, d):
        path.unlink()
        raise EnvironmentRefused(f"the repository's {path.name} is not the file of {LOCK.name}: its sha256 differs")
    return path


def _matches(path: Path, dependency: object) -> bool:
    return sha256(path.read_bytes()).hexdigest() == dependency.sha256  # type: ignore[attr-defined,no-any-return]


def _unreachable(name: str) -> EnvironmentRefused:
    return EnvironmentRefused(
        f"{name} of Apache Kafka is not on this machine yet, and the Maven repository cannot be reached. Either put "
        f"the jars of {LOCK.name} into a folder and set DAOGOU_EMBEDDED__JARS to it, or use a broker that is running: "
        "--broker HOST:PORT (DAOGOU_KAFKA__BOOTSTRAP_SERVERS)"
    )


def write_lock() -> None:
    """Resolve ``ENDPOINT`` and write its jars and checksums, without dates, into the lock."""
    import jgo

    lock = jgo.build(ENDPOINT).lockfile
    if lock is None:
        raise EnvironmentRefused(f"jgo resolved nothing for {ENDPOINT}")
    lock.save(LOCK)
    lines = LOCK.read_text().splitlines(keepends=True)
    LOCK.write_text("".join(line for line in lines if not line.startswith("generated = ")))


if __name__ == "__main__":
    write_lock()
