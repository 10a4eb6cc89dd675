"""Whatever the OpenAPI document allows, and what it does not: no server error, no answer that is not described.

``CASES`` in the environment asks for more than the few of a usual run.
"""

import asyncio
import os
import sys
from pathlib import Path

from contracts.settings import Settings
from tests.serving import serving

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
CASES = os.environ.get("CASES", "15")  # of each operation


async def test_every_answer_is_described(shop: Settings, tmp_path: Path) -> None:
    async with serving(shop) as served:
        fresh = served.window.parts.fresh
        assert fresh is not None
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{served.url}/openapi.json",
            "--header", f"Authorization: Bearer {fresh.operator}", "--checks", CHECKS, "--exclude-path", "/v1/stream",
            "--phases", "coverage,fuzzing", "--max-examples", CASES, "--seed", "0", "--generation-deterministic",
            "--no-color", "--continue-on-failure", "--suppress-health-check", "all", cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()[-6000:]
