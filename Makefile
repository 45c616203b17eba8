# make train   everything from nothing: environment, then Reasoning RL (ARGS="loop.steps=10" changes settings)
# make test    the default test suite
# make check   lint, format, types
# make setup   the environment alone

PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3.12),$(shell command -v python3))
INSTALLED := .venv/installed

.PHONY: train test check setup

train: $(INSTALLED)
	.venv/bin/python -m rl.run config=reasoning_rl $(ARGS)

test: $(INSTALLED)
	.venv/bin/python -m pytest $(ARGS)

check: $(INSTALLED)
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml scripts/make_environment.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 is missing. Install it (Debian: apt-get install python3.11 python3.11-venv)" >&2; exit 1; }
	$(PYTHON) scripts/make_environment.py
	@touch $@
