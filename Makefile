# `make train` and `make test` set everything up themselves; a second call installs nothing.
SHELL := /bin/bash
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3,$(shell command -v $(name) 2>/dev/null)))
BIN := .venv/bin
STAMP := .venv/installed
# A GPU machine takes the official vLLM, any other its CPU build.
ENGINE ?= $(if $(shell command -v nvidia-smi 2>/dev/null),gpu,cpu)

.PHONY: train test check setup clean

train: $(STAMP)
	$(BIN)/python -m rl.run config=reasoning_rl $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(STAMP)

$(STAMP): pyproject.toml
	@PYTHON="$(PYTHON)" ENGINE="$(ENGINE)" bash ./setup.sh
	@touch $@

clean:
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
