"""A worker that kills itself: ``worker_process.py STEP AFTER SLOW``.

STEP is ``load`` (decoded, nothing done yet), ``save`` (profiles saved, nothing produced), ``disk`` (slates produced,
disk not asked) or ``acked`` (on disk, not acked); AFTER is how often that step goes well before; SLOW seconds are
spent in each load, to have a batch in hand.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from contracts.metrics import Metrics
from contracts.profile import Profile
from contracts.settings import Settings, load_settings
from inference.engine import Engine
from launch.wiring import build_worker
from streams.store import ProfileKey, Write
from streams.store.redis import RedisProfiles


class Mined(RedisProfiles):
    """The real store; at one step the process dies as by a power cut."""

    def __init__(self, settings: Settings, step: str, after: int, slow: float) -> None:
        super().__init__(settings)
        self._step, self._left, self._slow = step, after, slow

    async def load(self, keys: Sequence[ProfileKey]) -> list[Profile | None]:
        if keys:
            print("loading", len(keys), flush=True)  # noqa: T201
            self._at("load")
            await asyncio.sleep(self._slow)
        return await super().load(keys)

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        saved = await super().save(writes)
        if writes:
            self._at("save")
        return saved

    async def on_disk(self) -> None:
        if self._started:
            self._at("disk")
        await super().on_disk()
        if self._started:
            self._at("acked")
        self._started = True  # the first call is the check at start

    _started = False

    def _at(self, step: str) -> None:
        if step == self._step:
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1


async def main(step: str, after: str, slow: str) -> None:
    settings = load_settings()
    store = Mined(settings, step, int(after), float(slow))
    engine = Engine(None, settings.engine, settings.model)
    await build_worker(settings, Metrics(), store=store, engine=engine).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
