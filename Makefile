# One machine, pip alone. `make demo` and `make test` are all a newcomer needs.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test lint format chromium bench-leeds bench-coverage clean

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found. Install one, or say: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(PIP) --editable '.[postgres,dev]'
	@touch $@

demo: setup
	$(BIN)/nudges demo

# The pages are tested in a real browser; without one those tests say so and are skipped.
chromium:
	@command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || \
	{ command -v apt-get >/dev/null 2>&1 && [ "$$(id -u)" = 0 ] && \
	  { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } ; } || \
	echo "Chromium is missing and could not be installed: page tests will be skipped. Install the package 'chromium'."

test: .venv/.installed-dev chromium
	$(BIN)/python -m pytest

lint: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Both want time; their last results stand in docs/benchmarks.md. bench-leeds reads $$NUDGES_REAL_DATA/leeds.
bench-leeds: .venv/.installed-dev
	$(BIN)/python -m benchmarks.leeds

bench-coverage: .venv/.installed-dev
	$(BIN)/python -m benchmarks.coverage

clean:
	rm -rf .venv var
