# Thin on purpose: each target is a command that could be typed.  All of them set up .venv first,
# which takes minutes once and nothing afterwards.

# Processes that run tests side by side, all tests of a file in one of them, in the order of the files'
# names: more than there are cores, since tests wait for servers, and those of test-cli most of all.
# Where workers quantize, or a person would wait for a page, one test takes two cores by itself.
JOBS ?= 3
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SIDE_BY_SIDE := --dist loadfile --no-loadscope-reorder
PEERS := .venv-peers/bin
PIP_INSTALL := pip install --quiet --disable-pip-version-check --root-user-action=ignore

.PHONY: demo test unit lint test-cli test-integration test-browser test-release test-peers test-vlmeval bench ui screenshots clean

demo: .venv/installed  ## quantize the packaged model on generated data, and print the outcome
	@$(BIN)/roundhouse demo

test: lint unit  ## all fast checks

unit: .venv/installed
	@$(BIN)/python -m pytest -q -n $(JOBS) $(SIDE_BY_SIDE) \
		--ignore=tests/peers --ignore=tests/vlmeval --ignore=tests/cli \
		--ignore=tests/release --ignore=tests/integration --ignore=tests/browser

test-cli: .venv/installed  ## the real command, in processes of its own: slower
	@.ci/packages.sh
	@$(BIN)/python -m pytest -q -n 4 $(SIDE_BY_SIDE) tests/cli

test-integration: .venv/installed  ## the service on PostgreSQL, Redis and S3, and any of its processes killed
	@.ci/packages.sh
	@$(BIN)/python -m pytest -q tests/integration

test-browser: .venv/installed  ## somebody starts the demo in a browser, and looks at its pages
	@.ci/packages.sh
	@$(BIN)/python -m pytest -q tests/browser

screenshots: .venv/installed  ## the same, and what the browser showed becomes docs/images
	@.ci/packages.sh
	@ROUNDHOUSE_SCREENSHOTS=docs/images $(BIN)/python -m pytest -q tests/browser

test-release: .venv/installed .venv-peers/installed  ## a tag is set, and real clients load what comes of it
	@$(BIN)/python -m pytest -q tests/release

lint: .venv/installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -q --noconftest -p no:cacheprovider tests/unit/test_forbidden_calls.py

test-peers: .venv/installed .venv-peers/installed  ## the real clients load two exports and agree; what the card says runs
	@rm -rf build/peers && mkdir -p build/peers
	@$(BIN)/python -m infra.demo.generate build/peers/data --texts 32 --conversations 1 >/dev/null
	@$(BIN)/roundhouse quantize --model packaged:demo --calibration build/peers/data/text.jsonl \
		--iters 10 --nsamples 16 --seqlen 128 --device cpu --output-dir build/peers/exports \
		--workspace build/peers/workspace --no-keep-server
	@$(PEERS)/python -m pytest -q tests/peers -o filterwarnings=default --exports build/peers/exports

test-vlmeval: .venv/installed .venv-vlmeval/installed  ## our scores against VLMEvalKit's own
	@$(BIN)/python -m pytest -q tests/vlmeval

bench: .venv/installed  ## a minute's look; the reports that are kept are in benchmarks/results
	@$(BIN)/python -m benchmarks.answers --repeats 1 --limit 60
	@echo "Longer ones, each with --help: benchmarks.answers, benchmarks.peer_comparison, benchmarks.memory_7b"

ui: .venv/installed  ## the Prefect server with the pages of all runs
	@$(BIN)/roundhouse ui

clean: .venv/installed  ## stop the server; remove caches and .roundhouse with all finished blocks
	@$(BIN)/roundhouse ui --stop
	@rm -rf .roundhouse .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build

.venv/installed: pyproject.toml constraints.txt
	@echo "Setting up .venv (once; takes minutes) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/$(PIP_INSTALL) -c constraints.txt -e '.[dev]'
	@touch $@

.venv-peers/installed: constraints-peers.txt
	@echo "Setting up .venv-peers (once; takes minutes) ..."
	@$(PYTHON) -m venv .venv-peers
	@BUILD_CUDA_EXT=0 $(PEERS)/$(PIP_INSTALL) -r constraints-peers.txt
	@touch $@

.venv-vlmeval/installed: constraints-vlmeval.txt
	@echo "Setting up .venv-vlmeval (once; takes a minute) ..."
	@$(PYTHON) -m venv .venv-vlmeval
	@.venv-vlmeval/bin/$(PIP_INSTALL) --no-deps -r constraints-vlmeval.txt
	@touch $@
