# One virtual environment, made once; a second run starts at once.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# One line that says what pip is at; errors in full.
PIP_PROGRESS = /^(Collecting|  Downloading|  Using cached|Building|Installing)/ \
	{ printf "\r\033[K  %.90s", $$0; fflush(); next } /ERROR|error:/ { print "\n" $$0 } \
	END { print "\r\033[K  done" }

# Exactly what the lock names, every file by its hash, and nothing that runs code to be installed.
LOCKED = $(BIN)/pip install --disable-pip-version-check --progress-bar off --require-hashes --no-deps \
	--only-binary :all: --requirement deploy/locks

.PHONY: install lock demo test soak check lint types layers quick bench docs clean help

help:            ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## Make the virtual environment with everything in it

$(STAMP): pyproject.toml deploy/locks/dev.txt deploy/locks/torch.txt deploy/locks/torch-cpu.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@echo "Installing into $(VENV) (about 1.6 GB, most of it torch; a minute or two) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(LOCKED)/dev.txt 2>&1 | awk '$(PIP_PROGRESS)'
	@$(LOCKED)/torch-cpu.txt > $(VENV)/torch.log 2>&1 || { \
		echo "The locked CPU build of torch is not to be had; another one, whose file no lock knows ..." && \
		$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --only-binary :all: \
			"$$(grep -o '^torch==[^ ]*' deploy/locks/torch-cpu.txt)" >> $(VENV)/torch.log 2>&1; } || { \
		echo "pip knows of none: PyPI's build, and 3 GB of CUDA libraries ..." && \
		$(LOCKED)/torch.txt 2>&1 | awk '$(PIP_PROGRESS)'; }
	@$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)
	@echo "The program is $(CURDIR)/$(BIN)/rankadaptor; to call it by its name: export PATH=\"$(CURDIR)/$(BIN):\$$PATH\""

lock: $(STAMP)   ## Write the locks of what is installed anew (UPGRADE=--upgrade: newest releases)
	@PATH="$(CURDIR)/$(BIN):$$PATH" deploy/lock.sh $(UPGRADE)

demo: $(STAMP)   ## Run the whole product on real input, in minutes
	@$(BIN)/rankadaptor demo

# Bytecode is kept whatever the environment says: pytest rewrites every module of tests for its
# assertions, ten seconds a process, and the tests start hundreds of Python processes.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -q --dist loadscope
PARALLEL = $(PYTEST) -n "$$($(PYTHON) -c 'import os; print(os.cpu_count() + 1)')"

# One process more than cores: the tests of real servers wait much of their time.
test: $(STAMP)   ## Run every test but the long runs, on all cores
	@$(PARALLEL) -m "not soak"

soak: $(STAMP)   ## Run the long runs against whole services: faults, load, fuzzing, the demo
	@$(PARALLEL) -m soak

check: $(STAMP)  ## Format, lint, types, layering and the quick unit and contract tests
	@$(MAKE) --no-print-directory --jobs=4 lint types layers quick

lint: $(STAMP)
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .

types: $(STAMP)
	@$(BIN)/mypy

layers: $(STAMP)
	@$(BIN)/lint-imports --no-cache > /tmp/rankadaptor-lint-imports.$$$$ || { cat /tmp/rankadaptor-lint-imports.$$$$; exit 1; }

quick: $(STAMP)
	@$(PYTEST) -n logical -m "not slow and not postgresql and not soak and not whole" \
		--durations=5 --durations-min=1 tests/unit tests/contract

bench: $(STAMP)  ## Run the measured comparisons in their short form
	@$(BIN)/python -m bench.proposers --quick
	@$(BIN)/python -m bench.latency --quick

docs: $(STAMP)   ## Write what comes from the code anew, and build all pages into site/
	@$(BIN)/python -m docs.generate
	@$(BIN)/typer rankadaptor.cli utils docs --name rankadaptor --output docs/reference/commands.md
	@$(BIN)/zensical build --strict --clean

clean:           ## Remove the virtual environment and the demo's output
	rm -rf $(VENV) demo-out
