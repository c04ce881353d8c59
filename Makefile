# Everything here needs Python 3.11 or newer, git and make; the rest comes into .venv. `make` prints this help.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo up test check bench bench-learning lint types imports sdk39 clean

# Looked for only when the environment is made.
PYTHON = $(firstword $(foreach p,python3 python3.11 python3.12 python3.13 python3.14,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
BIN := .venv/bin
READY := .venv/.ready
FRONTS := fronts/amlro fronts/physicsnemo
PIP := -m pip --disable-pip-version-check
# ALchemist's prebuilt page, which an end-to-end test drives in Chromium.
PAGE := .venv/alchemist/api/static/index.html
# Each test process has servers of its own: four of them are enough for any machine.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4

help:
	@echo 'Use it'
	@echo '  make demo    run a real campaign to its end, in about five minutes, and print the best found'
	@echo '  make up      keep Labqueue running on http://localhost:8000 (PORT=...), data in ./.labqueue (LABQUEUE_HOME=...)'
	@echo 'Work on it'
	@echo '  make test    the whole test suite (ARGS="-k name" for a part)'
	@echo '  make check   all that must pass: lint, types, import directions, the SDK on Python 3.9, the test suite'
	@echo '  make bench   the benchmarks, with peers side by side'
	@echo '  make bench-learning   how well it learns beside other optimizers: hours, and goes on where it stopped'
	@echo '  make lint    format and style; make types, make imports, make sdk39: the other parts of check'
	@echo '  make clean   remove the environment and the caches (never the data)'
	@echo 'The first of them installs what is needed into .venv, which takes some minutes; PYTHON=... chooses the Python.'

demo: $(READY)
	$(BIN)/python -m examples.demo $(ARGS)

up: $(READY)
	$(BIN)/labqueue-server up $(ARGS)

test: $(READY) $(PAGE)
	$(PYTEST) $(ARGS)

check: lint types imports sdk39 test

bench: $(READY)
	$(BIN)/python -m benchmarks $(ARGS)

# One thread each: more of them slow such small models down. ARGS="--methods labqueue,ax --problems branin --seeds 5".
bench-learning: $(READY) .bench-learning-venv/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.learning run $(ARGS)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.learning arylation

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy
	cd sdk && ../$(BIN)/mypy
	for front in $(FRONTS); do (cd $$front && ../../$(BIN)/mypy) || exit 1; done

imports: $(READY)
	$(BIN)/lint-imports

# The SDK promises Python 3.9; its tests run there too where one is found.
sdk39: $(READY)
	@.ci/sdk39

clean:
	rm -rf .venv .bench-venv .bench-learning-venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis sdk/.mypy_cache sdk/.ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.bench-learning-venv/.ready: benchmarks/learning/peers.txt
	$(PYTHON) -m venv --clear .bench-learning-venv
	@echo 'Installing the peers into .bench-learning-venv: 2 GB, some minutes.'
	.bench-learning-venv/bin/python $(PIP) install --quiet --quiet -c constraints.txt -r benchmarks/learning/peers.txt
	@touch $@

$(PAGE): $(READY)
	$(BIN)/python $(PIP) download --quiet --quiet --no-deps -d .venv/alchemist alchemist-nrel==0.4.0
	cd .venv/alchemist && ../bin/python -m zipfile -e alchemist_nrel-0.4.0-py3-none-any.whl .
	@touch $@

$(READY): constraints.txt pyproject.toml sdk/pyproject.toml $(FRONTS:%=%/pyproject.toml)
	@test -n '$(PYTHON)' || { echo 'Labqueue needs Python 3.11 or newer, and none was found here' \
		"(python3 is $$(python3 --version 2>&1)). Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(BIN)/python $(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || { \
		echo 'This Python cannot make environments. On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@echo 'Installing into .venv; the first time takes some minutes.'
	$(BIN)/python $(PIP) install --quiet --quiet -c constraints.txt -e ./sdk $(FRONTS:%=-e ./%) -e '.[learn,demo,dev]'
	@touch $@
