"""Whatever the OpenAPI document allows, and what it does not: no server error, no answer that is not described.

    python -m benchmarks.contract            writes docs/benchmarks/contract.json (5,000 requests or more, some minutes)
    python -m benchmarks.contract 300        so many requests of each operation

schemathesis draws requests from the document that the running server gives of itself, right ones and wrong ones, and
holds each answer against it: its status, its content type, its body. A Kafka, a Valkey, a worker and `daogou serve` of
their own; the event stream is left out, since it does not end.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from msgspec import Struct

from benchmarks.opened import Premises, premises
from benchmarks.report import save
from contracts.errors import EnvironmentRefused

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
PHASES = "coverage,fuzzing"
CASES = 130
LEAST = 5_000


class Asked(Struct, frozen=True):
    """What came of a run. ``said``: schemathesis' own words, with every failure and how to have it again."""

    requests: int
    operations: int
    failures: int
    said: str


async def ask(url: str, key: str, cases: int, phases: str = PHASES) -> Asked:
    """About so many requests of each operation of the API at ``url``, the same ones each time.

    The phase ``coverage`` adds about 150 of each: every limit of every field, from both sides.
    """
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json",
            "--header", f"Authorization: Bearer {key}", "--checks", CHECKS, "--exclude-path", "/v1/stream",
            "--phases", phases, "--max-examples", str(cases), "--seed", "0", "--generation-deterministic",
            "--no-color", "--continue-on-failure", "--suppress-health-check", "all", "--request-timeout", "60",
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip
        said = (await process.communicate())[0].decode(errors="replace")
    found = re.search(r"([\d,]+) generated", said)
    requests = int(found[1].replace(",", "")) if found else 0
    failed = re.search(r"([\d,]+) generated, ([\d,]+) found", said)
    failures = int(failed[2].replace(",", "")) if failed else int(process.returncode != 0)
    operations = re.search(r"Operations:\s+(\d+) selected", said)
    return Asked(requests, int(operations[1]) if operations else 0, failures, said)


async def run(shop: Premises, cases: int) -> Asked:
    async with shop.open():
        return await ask(shop.url, shop.key, cases)


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else CASES
    with premises(8139) as shop:
        found = asyncio.run(run(shop, cases))
    print(found.said[-8_000:])
    if found.failures or found.requests < min(LEAST, cases):
        raise EnvironmentRefused(f"{found.failures} failures in {found.requests:,} requests; see above")
    print(save("contract", {"operations": found.operations, "requests": found.requests, "failures": found.failures}))


if __name__ == "__main__":
    main()
