# Each command sets up what it needs. PYTHON names the interpreter to set up with (3.11 or newer; 3.11-3.13 for
# training and tests, which need TensorFlow).
PYTHON ?= python3
.DEFAULT_GOAL := help
.PHONY: help serve test train report bench format pins image

# Serving and developing have an environment each, so that TensorFlow never comes near the service.
# The machine's own NVIDIA driver decides which onnxruntime the service gets.
RUNTIME := $(if $(shell nvidia-smi -L 2>/dev/null),cuda,cpu)
SERVE := .venv/$(RUNTIME).txt
DEV := .venv-dev/dev.txt
PIP := -m pip --disable-pip-version-check -qq install

help:  ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

serve: $(SERVE)  ## serve the models in models/ on http://127.0.0.1:8000
	@$(call link,.venv)
	@.venv/bin/python -m denoise

test: $(DEV) .venv-clients/clients.txt  ## format check, lint, types, all tests; installs the programs that these run, where it may
	@$(call link,.venv-dev)
	@echo 'Checking format, lint and types ...'
	@.venv-dev/bin/python -m ruff format --check .
	@.venv-dev/bin/python -m ruff check .
	@.venv-dev/bin/python -m mypy
	@echo 'Running the tests, side by side: some minutes ...'
	@.venv-dev/bin/python -m pytest --install-tools --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

train: $(DEV)  ## MNIST archives in, models/*.onnx out; resumes where it was stopped
	@echo 'Training the models: a day on a CPU. When it is interrupted, the same command goes on from there ...'
	@.venv-dev/bin/python -m training

report: $(DEV)  ## measure every model against the classical denoisers: docs/quality.md (half an hour)
	@echo 'Measuring every model on every kind of noise: half an hour ...'
	@.venv-dev/bin/python -m benchmarks.quality

bench: $(DEV) .venv-litserve/litserve.txt .venv-bentoml/bentoml.txt .venv-ray/ray.txt  ## measure against other servers: docs/performance.md (needs wrk; half an hour)
	@echo 'Measuring this service beside other servers: half an hour in which the machine should do nothing else ...'
	@.venv-dev/bin/python -m benchmarks.serving

format: $(DEV)  ## put the code in the project's format
	@.venv-dev/bin/python -m ruff format .
	@.venv-dev/bin/python -m ruff check --fix .

image:  ## build the CPU container image
	@echo 'Building the image "denoise" for the CPU: some minutes at the first time ...'
	@docker build --build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null) --tag denoise .

# `make pins UPGRADE=` keeps the versions and adds only what pyproject.toml has new.
UPGRADE ?= --upgrade
COMPILE := ../.venv-dev/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header

pins: $(DEV)  ## renew the pinned versions and their hashes in requirements/
	@echo 'Looking for the newest versions and their hashes ...'
	@cd requirements && for set in cpu cuda "dev --extra cpu --extra training --extra benchmarks --extra ray --extra tracing"; do \
	  $(COMPILE) $(UPGRADE) ../pyproject.toml --extra $$set -o $${set%% *}.txt >/dev/null || exit; done; \
	  for set in build clients litserve bentoml ray; do $(COMPILE) $(UPGRADE) $$set.in -o $$set.txt >/dev/null || exit; done

# The stamp is a copy of the pins that an environment was made from: changed pins make it anew. .venv gets what builds
# the package as well; the pins of .venv-dev have it.
.venv/%.txt .venv-dev/%.txt .venv-clients/%.txt .venv-litserve/%.txt .venv-bentoml/%.txt .venv-ray/%.txt: requirements/%.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[1] not in range(11, $(if $(filter .venv,$(@D)),99,14)))' || \
	  { echo "This needs Python 3.11 to 3.13, or newer for serving alone; $(PYTHON) is another. Try: make PYTHON=python3.13 ..."; exit 1; }
	@$(PYTHON) tests/tools.py
	@echo 'Making the environment $(@D) with $(PYTHON) ...'
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@echo 'Downloading and installing the packages of $<: a minute or two ...'
	@$(@D)/bin/python $(PIP) --require-hashes $(addprefix --requirement=,$< $(if $(filter .venv,$(@D)),requirements/build.txt))
	@cp $< $@

# Makes `denoise` in an environment the code of this folder: at first, and when the folder was moved.
define link
grep -qsF '$(CURDIR)/$(1)/' $(1)/bin/denoise || \
  { echo 'Installing $(1)/bin/denoise, which runs the code of this folder ...'; \
    $(1)/bin/python $(PIP) --no-deps --no-build-isolation --editable .; }
endef
