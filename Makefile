# The one entry: every target sets up what it needs. Needs python3 >= 3.11, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
SEEDS ?= 1000
FIRST ?= 0

.PHONY: serve test newcomer check bench bench-policies bench-live verify simulate soak models models-check proto clean
.DEFAULT_GOAL := serve

serve: $(VENV)/.core          ## start the gateway on 127.0.0.1:8080 (admin on 8081)
	$(BIN)/nearway serve $(ARGS)

verify: $(VENV)/.core         ## is it a 10 ms service? a verdict with a report
	$(BIN)/nearway verify $(ARGS)

test: $(VENV)/.dev            ## the tests: small, seeded portions
	$(BIN)/python -m pytest -q $(ARGS)

newcomer:                     ## docs/getting_started.md, step by step, in a fresh clone of what is committed
	$(PYTHON) tests/system/walk.py docs/getting_started.md $(ARGS)

simulate: $(VENV)/.core       ## the real gateway in virtual time under a seeded adversary; SEEDS=1000 FIRST=0
	$(BIN)/python -m gateway.testing.adversary --seeds $(SEEDS) --first $(FIRST) $(ARGS)

soak: $(VENV)/.dev            ## the long portions of the tests
	$(BIN)/python -m pytest -q -m soak $(ARGS)

check: $(VENV)/.dev           ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev           ## what a decision costs, beside a plain loop
	$(BIN)/python bench/router/run.py $(ARGS)

bench-policies: $(VENV)/.dev  ## ours against every known policy, simulated; ARGS=--quick: 2 minutes
	$(BIN)/nearway bench policies $(ARGS)

bench-live: $(VENV)/.dev      ## the gateway beside the simulator: do they agree?
	$(BIN)/nearway bench live $(ARGS)

models: $(VENV)/.train        ## retrain whatever sample model is stale; under two hours from nothing
	$(BIN)/python models/training/make.py $(ARGS)

models-check: $(VENV)/.train  ## measure every sample model anew, on samples it has not seen
	$(BIN)/python models/training/make.py --check $(ARGS)

proto: $(VENV)/.dev           ## compile the gRPC door's messages into the descriptor that is loaded
	$(BIN)/python -m grpc_tools.protoc -Igateway/serving/grpc_door --include_imports \
	  --descriptor_set_out=gateway/serving/grpc_door/inference.binpb inference.proto health.proto \
	  reflection_v1.proto reflection_v1alpha.proto

clean:                        ## remove everything that make has made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build reports
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "nearway needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/.core $@

$(VENV)/.train: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train]'
	@touch $(VENV)/.core $@
