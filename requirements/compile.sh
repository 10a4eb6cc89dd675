#!/usr/bin/env bash
# Pins every dependency with hashes and no addresses: `make pins`. The widest set is solved first, and holds the others.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { "${UV:-uv}" pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet "$@"; }
compile pyproject.toml --extra cpu --extra embedded --extra train --extra test -o requirements/test.txt
compile pyproject.toml --extra cpu --extra embedded -c requirements/test.txt -o requirements/serve.txt
compile pyproject.toml --extra cpu -c requirements/test.txt -o requirements/production-cpu.txt
compile pyproject.toml --extra gpu -c requirements/test.txt -o requirements/gpu.txt
printf "uv==0.13.9\nsetuptools==80.9.0\n" | compile - -o requirements/installer.txt
