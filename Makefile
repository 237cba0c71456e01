# Run `make` or `make help` for the list of targets.
PYTHON ?= python3
VENV ?= .venv
# What `make notebooks` runs on: make notebooks DATASET=fer2013 DATA=path/to/fer2013.csv
DATASET ?= toyfaces
DATA ?=
# Some of the notebooks only: ONLY="01 02"
ONLY ?=
# Tests at a time.
JOBS ?= 2

BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.DEFAULT_GOAL := help

.PHONY: help
help:  ## list the targets
	@awk -F ':.*##' '/^[a-z-]+:.*##/ {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is newer than the lock once the environment holds what the lock pins.
$(STAMP): requirements.lock pyproject.toml
	$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $(STAMP)

.PHONY: environment
environment: $(STAMP)  ## build the virtual environment, or bring it up to the lock

.PHONY: notebooks
notebooks: $(STAMP)  ## execute the numbered notebooks into build/ (DATASET=, DATA=, ONLY=)
	$(BIN)/python tools/run_notebooks.py --dataset "$(DATASET)" $(if $(DATA),--data "$(DATA)") $(ONLY:%=--only %)

.PHONY: figures
figures: $(STAMP)  ## remake presentation_images/ from the notebooks on toy faces
	$(BIN)/python tools/run_notebooks.py --figures presentation_images

.PHONY: outputs
outputs: $(STAMP)  ## store the notebooks' outputs and figures anew, from a clean run on toy faces
	$(BIN)/python tools/run_notebooks.py --inplace

.PHONY: results
results: $(STAMP)  ## renew the results tables of README.md and the model cards
	$(BIN)/emohelpers report --update README.md
	$(BIN)/emohelpers report --recipes --update README.md
	$(BIN)/emohelpers report --calibration --update README.md
	$(BIN)/emohelpers deck --update presentation_images/README.md
	for file in saved_models/*/metrics.json; do folder=$$(dirname $$file); \
		$(BIN)/emohelpers report $$folder --update $$folder/MODEL_CARD.md; \
	done > /dev/null
	for file in saved_models/*/calibration.json; do folder=$$(dirname $$file); \
		$(BIN)/emohelpers report --calibration $$folder --update $$folder/MODEL_CARD.md; \
	done > /dev/null

.PHONY: lab
lab: $(STAMP)  ## open the notebooks in JupyterLab
	$(BIN)/python -m jupyterlab notebooks

.PHONY: test
test: $(STAMP)  ## run the tests, the examples in docstrings and the notebooks
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --nbval notebooks

.PHONY: check
check: $(STAMP)  ## lint and type-check code and notebooks
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.PHONY: format
format: $(STAMP)  ## format code and notebooks, and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: bench
bench: $(STAMP)  ## measure speed and memory (DATA= for the real FER2013)
	$(BIN)/python -m benchmarks $(if $(DATA),--data "$(DATA)")

.PHONY: lock
lock:  ## remake requirements.lock from pyproject.toml, with the newest versions it allows
	$(BIN)/uv --version || ($(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv)
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
		--no-emit-index-url --generate-hashes --no-annotate --no-strip-extras \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
