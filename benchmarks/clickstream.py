"""A real clickstream through several workers, at full speed: events/s, memory, and whether anything was lost.

It runs what a user would run: `daogou catalogue import`, `daogou worker`, `daogou publish`, `daogou verify`.
With --kill, one worker is killed (SIGKILL) in the middle and another is started.

    python -m benchmarks.clickstream ../shared/data/retailrocket [--workers 3] [--kill]
"""

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks.report import save
from contracts.settings import Settings, load_settings
from launch.embedded import Cluster
from streams.admin import create_topics, lag

ROOT = Path(__file__).parents[1]
WAIT_SECONDS = 600.0
LOOK_SECONDS = 0.25


class Workers:
    """Worker processes, and the most memory that they ever had."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._where = ["--broker", cluster.bootstrap_servers, "--redis", cluster.redis_url]
        self._folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.peak_each = self.peak_all = 0

    def start(self) -> None:
        log = (self._folder / f"worker-{len(self.processes)}.log").open("wb")
        command = [sys.executable, "-m", "launch.cli", "worker", *self._where]
        self.processes.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log))

    def wait_ready(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while sum(b"ready" in log.read_bytes() for log in self._folder.glob("worker-*.log")) < len(self.processes):
            self.check()
            if time.monotonic() > deadline:
                raise SystemExit("the workers were not ready in time")
            time.sleep(LOOK_SECONDS)

    def check(self) -> None:
        """A worker that ended by itself ends the benchmark, with its last words."""
        for number, process in enumerate(self.processes):
            if process.poll() not in (None, -signal.SIGKILL):
                words = (self._folder / f"worker-{number}.log").read_text().strip()
                raise SystemExit(f"worker {number} ended with {process.returncode}: {words[-1000:]}")

    def look(self) -> None:
        sizes = [psutil.Process(p.pid).memory_info().rss for p in self.processes if p.poll() is None]
        self.peak_each, self.peak_all = max([self.peak_each, *sizes]), max(self.peak_all, sum(sizes))

    def kill_one(self) -> None:
        self.processes[0].kill()
        self.processes[0].wait()

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(WAIT_SECONDS)


def daogou(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "launch.cli", *words], cwd=ROOT, stdout=subprocess.PIPE)


def output(process: subprocess.Popen[bytes]) -> Any:
    out, _ = process.communicate()
    if process.returncode not in (0, 1):
        raise SystemExit(f"{process.args!r} ended with {process.returncode}")
    return orjson.loads(out) if out.strip().startswith(b"{") else None


def behind(settings: Settings) -> int:
    return sum(part.lag for part in lag(settings.kafka, settings.stream.group))


def run(folder: Path, count: int, kill: bool) -> dict[str, Any]:
    with Cluster.start() as cluster:
        settings = load_settings(**cluster.overrides())
        create_topics(settings.kafka)
        broker, redis = ["--broker", cluster.bootstrap_servers], ["--redis", cluster.redis_url]
        output(daogou("catalogue", "import", str(folder.resolve()), *broker))
        workers = Workers(cluster, cluster.folder)
        try:
            return measured(workers, settings, folder, count, kill, [*broker, *redis])
        finally:
            workers.stop()


def measured(
    workers: Workers, settings: Settings, folder: Path, count: int, kill: bool, where: list[str]
) -> dict[str, Any]:
    for _ in range(count):
        workers.start()
    workers.wait_ready()
    started = time.perf_counter()
    publishing = daogou("publish", str(folder.resolve()), *where[:2], "--json")
    published = drain(workers, settings, publishing, kill)
    seconds = time.perf_counter() - started
    report = output(daogou("verify", *where, "--wait", "120", "--json"))
    return {
        "data": folder.name,
        "workers": count,
        "killed": int(kill),
        "seconds": seconds,
        "published": published,
        "peak_rss_mb_of_a_worker": workers.peak_each / 2**20,
        "peak_rss_mb_of_all_workers": workers.peak_all / 2**20,
        "verify": report,
    }


def drain(workers: Workers, settings: Settings, publishing: subprocess.Popen[bytes], kill: bool) -> Any:
    """Until everything that was published is committed; kills one on the way, once a third is done."""
    done_publishing, published, deadline = False, None, time.monotonic() + WAIT_SECONDS
    while not done_publishing or behind(settings):
        workers.check()
        workers.look()
        if not done_publishing and publishing.poll() is not None:
            published, done_publishing = output(publishing), True
        if kill and sum(max(0, p.committed) for p in lag(settings.kafka, settings.stream.group)) > 0:
            kill = False
            workers.kill_one()
            workers.start()
        if time.monotonic() > deadline:
            raise SystemExit("the workers did not read everything in time")
        time.sleep(LOOK_SECONDS)
    return published


def print_result(result: dict[str, Any]) -> None:
    verified = result["verify"]
    events = verified.get("records") or verified.get("events") or 0
    print(f"{result['data']}: {events:,} records through {result['workers']} workers in {result['seconds']:.1f} s")
    each, together = result["peak_rss_mb_of_a_worker"], result["peak_rss_mb_of_all_workers"]
    print(f"{events / result['seconds']:,.0f} events/s, publish to committed")
    print(f"peak memory of a worker {each:.0f} MB, of all {together:.0f} MB")
    print("verify:", orjson.dumps(verified).decode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--kill", action="store_true")
    options = parser.parse_args()
    result = run(options.folder, options.workers, options.kill)
    save(f"clickstream{'-kill' if options.kill else ''}", result)
    print_result(result)


if __name__ == "__main__":
    main()
