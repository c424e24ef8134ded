# Everything a newcomer needs: `make demo`, `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help setup demo test lint pages docs clean

help:  ## Show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "make %-8s %s\n", $$1, $$2}'

setup: $(VENV)/.dev  ## Make .venv with the package and all that its developers need

# Exact versions come from constraints.txt, so a release elsewhere changes nothing here. torch goes
# first: every other package is then content with the one that is there.
$(VENV)/.package: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "expected Python 3.11 or newer, got '$(PYTHON)'; try: make PYTHON=/path/to/python3.11"; exit 2; }
	@echo "setting up .venv (some minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) torch
	@$(PIP) -e .
	@echo "compiling the training loop for this machine"
	@$(BIN)/python -c 'from lottery.training.engines.sparse_cpu import SparseCpuEngine as E; E().prepare()'
	@touch $@

$(VENV)/.dev: $(VENV)/.package
	@$(PIP) -e '.[dev,docs]'
	@touch $@

demo: $(VENV)/.package  ## Find a winning ticket on bundled digits; writes report.html
	$(BIN)/lottery demo --report report.html

test: setup  ## Run the tests
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

lint: setup  ## Check form, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pages: setup  ## Write the parts of docs/ that are made from the code
	$(BIN)/python scripts/generate_docs.py

docs: setup  ## Build the documentation into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

clean:  ## Remove what was made here, but no runs
	rm -rf $(VENV) docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
