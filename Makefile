# Run `make` or `make help` for the list of targets.
PYTHON ?= python3
VENV ?= .venv
DATASET ?= toyfaces
DATA ?=
BUILD ?= build/$(DATASET)

BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.DEFAULT_GOAL := help

.PHONY: help
help:  ## list the targets
	@awk -F ':.*##' '/^[a-z-]+:.*##/ {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is newer than the lock once the environment holds what the lock pins.
$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $(STAMP)

.PHONY: environment
environment: $(STAMP)  ## build the virtual environment, or bring it up to the lock

.PHONY: lock
lock: $(STAMP)  ## remake requirements.lock from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras \
		--no-emit-index-url --generate-hashes --no-annotate \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
