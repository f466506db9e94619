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

help:  ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

serve: $(SERVE)  ## serve the models in models/ on http://127.0.0.1:8000
	@.venv/bin/python -m denoise

test: $(DEV)  ## format check, lint, types, all tests
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/ruff check .
	.venv-dev/bin/mypy
	.venv-dev/bin/python -m pytest

train: $(DEV)  ## MNIST archives in, models/*.onnx out; resumes where it was stopped
	.venv-dev/bin/python -m training

report: $(DEV)  ## measure every model against the classical denoisers: docs/quality.md (half an hour)
	.venv-dev/bin/python -m benchmarks.quality

bench: $(DEV) .venv-litserve/litserve.txt .venv-bentoml/bentoml.txt .venv-ray/ray.txt  ## measure against other servers: docs/performance.md (needs wrk; half an hour)
	.venv-dev/bin/python -m benchmarks.serving

format: $(DEV)  ## put the code in the project's format
	.venv-dev/bin/ruff format .
	.venv-dev/bin/ruff check --fix .

image:  ## build the CPU container image
	docker build --tag denoise .

# `make pins UPGRADE=` keeps the versions and adds only what pyproject.toml has new.
UPGRADE ?= --upgrade
COMPILE := ../.venv-dev/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header

pins: $(DEV)  ## renew the pinned versions and their hashes in requirements/
	cd requirements && for set in cpu cuda "dev --extra cpu --extra training --extra benchmarks --extra ray --extra tracing"; do \
	  $(COMPILE) $(UPGRADE) ../pyproject.toml --extra $$set -o $${set%% *}.txt >/dev/null || exit; done; \
	  for set in build litserve bentoml ray; do $(COMPILE) $(UPGRADE) $$set.in -o $$set.txt >/dev/null || exit; done

# The stamp is a copy of the pins that an environment was made from: changed pins make it anew.
.venv/%.txt .venv-dev/%.txt .venv-litserve/%.txt .venv-bentoml/%.txt .venv-ray/%.txt: requirements/%.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed, and $(PYTHON) is not. Try: make PYTHON=python3.13 ..."; exit 1; }
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	if test $(@D) = .venv || test $(@D) = .venv-dev; then \
	  $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .; fi
	cp $< $@
