# Every target is one line and says what it does; `make help` lists them. Nothing here needs more than Python 3.11+.
.DEFAULT_GOAL := help
.PHONY: help setup demo test unit test-all fmt lint types imports bench docs slow coverage lock ci

PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
BIN := .venv/bin
READY := .venv/.ready
PYTEST := $(BIN)/python -m pytest

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv from the hashed lock (the other targets do it by themselves)

$(READY): requirements-dev.lock pyproject.toml scripts/setup.py
	@test -n "$(PYTHON)" || { echo "patriot set-up: Python 3.11 or newer was not found: install it, or run make PYTHON=/path/to/python3.11 setup." >&2; exit 1; }
	@"$(PYTHON)" scripts/setup.py
	@touch $@

demo: $(READY) ## one signal becomes N safe orders: the whole platform on three recorded days (ARGS="--accounts 5")
	@$(BIN)/patriot demo $(ARGS)

test: $(READY) ## unit, property and contract tests, on the embedded PostgreSQL
	$(PYTEST) -q -m "not slow" $(ARGS)

unit: $(READY) ## the pure tests alone, in seconds
	$(PYTEST) -q -m unit $(foreach domain,kernel users accounts strategies execution orders risk portfolio billing audit,tests/$(domain)) $(ARGS)

test-all: $(READY) ## everything, with the acceptance and crash tests
	$(PYTEST) -q $(ARGS)

fmt: $(READY) ## format the code and mend what can be mended
	$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet .

lint: $(READY) ## check style and format, and that no secret lies about
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/python scripts/scan_secrets.py

types: $(READY) ## check types, strictly
	$(BIN)/mypy

imports: $(READY) ## check the import contracts, and that each of them can fail
	$(BIN)/lint-imports --no-logo && $(PYTEST) -q tests/imports

bench: $(READY) ## measure append, fold, projection and the order path beside their targets
	$(BIN)/python -m bench $(ARGS)

docs: $(READY) ## check the links and commands of the README and docs, and run the doctests
	$(BIN)/python scripts/check_docs.py && $(PYTEST) -q src

slow: $(READY) ## the acceptance and crash tests alone, which kill real processes
	$(PYTEST) -q -m slow $(ARGS)

coverage: $(READY) ## what `make test` runs, measured: kernel, orders, execution, risk, billing at 90 % of branches or more
	$(PYTEST) -q -m "not slow" --cov --cov-report=json --cov-report= $(ARGS) && $(BIN)/python scripts/coverage_gate.py

lock: $(READY) ## write the locks anew from pyproject.toml
	$(BIN)/python scripts/lock.py

ci: lint types imports docs coverage slow ## what must be green before a merge: all checks, all tests, the coverage gate
