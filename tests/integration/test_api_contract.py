"""Whatever the OpenAPI document allows, and what it does not: no server error, no answer that is not described.

``python -m benchmarks.contract`` asks for thousands instead of the few hundred of a usual run.
"""

from benchmarks.contract import ask
from contracts.settings import Settings
from tests.serving import serving

CASES = 10  # of each operation


async def test_every_answer_is_described(shop: Settings) -> None:
    async with serving(shop) as served:
        fresh = served.window.parts.fresh
        assert fresh is not None
        asked = await ask(served.url, fresh.operator, CASES, phases="fuzzing")
    assert not asked.failures, asked.said[-6000:]
    assert asked.requests > CASES * asked.operations / 2
