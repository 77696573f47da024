# Every target is one line and says what it does; `make help` lists them. Nothing here needs more than Python 3.11+.
.DEFAULT_GOAL := help
.PHONY: help setup simulate demo test unit test-all fmt lint types imports bench docs slow soak gate coverage mutants lock ci rest nightly

PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
BIN := .venv/bin
READY := .venv/.ready
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --dist worksteal
MEASURED := --cov --cov-report=json --cov-report=

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv from the hashed lock (the other targets do it by themselves)

$(READY): requirements-dev.lock pyproject.toml scripts/setup.py
	@test -n "$(PYTHON)" || { echo "patriot set-up: Python 3.11 or newer was not found: install it, or run make PYTHON=/path/to/python3.11 setup." >&2; exit 1; }
	@"$(PYTHON)" scripts/setup.py
	@touch $@

simulate: $(READY) ## the whole platform on virtual time and wires, under seeded faults (SEEDS=100, or SEED=7 alone)
	PYTHONHASHSEED=0 $(BIN)/python -m patriot.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),100)) $(ARGS)

demo: $(READY) ## one signal becomes N safe orders: the whole platform on three recorded days (ARGS="--accounts 5")
	@$(BIN)/patriot demo $(ARGS)

test: $(READY) ## unit, property and contract tests, on an embedded PostgreSQL per worker (MEASURE=1: and their coverage)
	$(PYTEST) -q $(PARALLEL) -m "not slow" $(if $(MEASURE),$(MEASURED)) $(ARGS)

unit: $(READY) ## the pure tests alone, in seconds
	$(PYTEST) -q -m "unit and not hypothesis" $(shell grep -rl --include='test_*.py' '^pytestmark = .*mark\.unit' tests) $(ARGS)

test-all: test slow ## everything, with the acceptance and crash tests

fmt: $(READY) ## format the code and mend what can be mended
	$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet .

lint: $(READY) ## check style and format, and that no secret lies about
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/python scripts/scan_secrets.py

types: $(READY) ## check types, strictly
	$(BIN)/mypy

imports: $(READY) ## check the import contracts (`make test` checks that each of them can fail)
	$(BIN)/lint-imports --no-logo

bench: $(READY) ## measure append, fold, projection and the order path beside their targets
	$(BIN)/python -m bench $(ARGS)

docs: $(READY) ## check the links and commands of the README and docs (`make test` runs the doctests)
	$(BIN)/python scripts/check_docs.py

soak: $(READY) ## the platform under seeded faults of its exchange, judged at the end (MINUTES=3 SEED=1 SPEED=60)
	$(BIN)/patriot soak --minutes $(or $(MINUTES),3) --seed $(or $(SEED),1) --speed $(or $(SPEED),60) $(ARGS)

slow: $(READY) ## the acceptance, crash and conformance tests alone, which start and kill real processes
	$(PYTEST) -q $(PARALLEL) -m slow $(ARGS)

gate: ## judge what the last measured `make test` measured: 90 % of the branches and lines of each module
	$(BIN)/python scripts/coverage_gate.py

coverage: ## what `make test` runs, measured and judged
	$(MAKE) test MEASURE=1
	$(MAKE) gate

mutants: $(READY) ## plant a fixed sample of faults and see which no fast test finds (ARGS="execution orders")
	$(BIN)/python scripts/mutants.py $(ARGS)

lock: $(READY) ## write the locks anew from pyproject.toml
	$(BIN)/python scripts/lock.py

ci: ## what must be green before a merge: all tests, the coverage gate, all checks
	$(MAKE) test MEASURE=1
	$(MAKE) rest

rest: lint types imports docs gate slow soak ## what `make ci` checks after a measured `make test`
	$(MAKE) simulate SEEDS=100 ARGS="--first 20 --jobs $(WORKERS)"

nightly: ci bench ## what takes longer: 10,000 seeds of the simulation, two hours of soak and the benchmarks, after all of `make ci`
	$(MAKE) simulate SEEDS=10000 ARGS="--jobs $(WORKERS)"
	$(MAKE) soak MINUTES=60 SPEED=1
	$(MAKE) soak MINUTES=60 SPEED=60
