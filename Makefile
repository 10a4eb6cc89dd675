# Two commands on a bare machine: `make demo` and `make test`. Python 3.11 with venv is all they need.
SHELL := /bin/bash
PYTHON ?= python3.11
SERVE := .venv
TEST := .venv-test
ARGS ?=

.PHONY: help demo test lint bench demo-bundle pictures pins clean
help:  ## say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

demo: $(SERVE)/ready  ## the whole of daogou against a simulated shop, in this terminal
	$(SERVE)/bin/daogou demo $(ARGS)

test: $(TEST)/ready lint  ## every check and every test, on the real Kafka and the real Valkey
	$(TEST)/bin/python -m pytest -n 2 --dist loadfile tests/unit tests/property $(ARGS) || [ $$? = 5 ]  # 5: none of them asked for
	$(TEST)/bin/python -m pytest tests/integration tests/e2e $(ARGS) || [ $$? = 5 ]

lint: $(TEST)/ready  ## style, types and the direction of imports
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy
	$(TEST)/bin/lint-imports

bench: $(TEST)/ready  ## the first figures: plumbing, freshness, stages of a slate
	$(TEST)/bin/python -m benchmarks.run $(ARGS)

demo-bundle: $(TEST)/ready  ## train and export the demo's own model again (about half an hour)
	$(TEST)/bin/daogou shop --out build/shop --shoppers 3000 --days 30
	$(TEST)/bin/daogou train build/shop/events.jsonl.gz build/shop/items.jsonl.gz --out build/checkpoint
	$(TEST)/bin/daogou export build/checkpoint --out launch/demo_bundle --name demo

pictures: $(TEST)/ready  ## take the docs' pictures again, with Chromium
	PICTURES=docs/pictures $(TEST)/bin/python -m pytest tests/e2e/test_browser.py

pins: $(TEST)/ready  ## solve the dependencies again and pin them with hashes
	UV=$(TEST)/bin/uv requirements/compile.sh

clean:  ## remove both environments and the embedded cluster's data
	rm -rf $(SERVE) $(TEST) .daogou

# Each environment: a venv, uv pinned by hash, everything else by uv from the pins.
$(SERVE)/ready: requirements/serve.txt requirements/installer.txt pyproject.toml
$(TEST)/ready: requirements/test.txt requirements/installer.txt pyproject.toml
$(SERVE)/ready $(TEST)/ready:
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/installer.txt
	VIRTUAL_ENV=$(@D) $(@D)/bin/uv pip install --quiet --require-hashes -r $<
	VIRTUAL_ENV=$(@D) $(@D)/bin/uv pip install --quiet --no-deps --no-build-isolation -e .
	touch $@
