# Verbs of the house. `make` alone lists them.

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PEERS  := $(VENV)/.peers
WARM   := $(VENV)/.compiled
# The first of these that is Python 3.11 or newer; or say `make PYTHON=/path/to/python3`.
PYTHON ?= $(firstword $(foreach p,python3 python3.11 python3.12 python3.13 python3.14,$(shell $p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $p)))

# Neither the user's Python settings nor DVC's calls home reach into a run.
export DVC_NO_ANALYTICS = 1
export PYTHONHASHSEED = 0
export PYTHONNOUSERSITE = 1
# `dvc exp run` sets uncommitted changes aside as a commit of its own, which needs some name.
export GIT_AUTHOR_NAME ?= traderagent
export GIT_AUTHOR_EMAIL ?= traderagent@localhost
export GIT_COMMITTER_NAME ?= traderagent
export GIT_COMMITTER_EMAIL ?= traderagent@localhost
# Bytecode is kept: rewriting the assertions of all tests anew costs every later worker a quarter of a minute.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
export PATH := $(abspath $(BIN)):$(PATH)
# A user's own pip settings stay in force, but for those that would install beside the environment.
PIP := PIP_USER=0 PIP_TARGET= PIP_PREFIX= PIP_REQUIRE_HASHES=0 PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip --quiet

NOTEBOOKS := $(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=300
# These keep and read no results in data/small, so that they may run beside the others.
ALONE     := notebooks/own_strategy.ipynb notebooks/start.ipynb

CHOSEN := params/data.yaml says these candles from now on: 'make repro' alone goes on with them, 'git checkout HEAD params/data.yaml' goes back

.DEFAULT_GOAL := help
.PHONY: help repro test slow twins mutants lab lint bench cluster-demo docs peers lock clean

help:  ## list the verbs
	@echo "make VERB"
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-15s %s\n", $$1, $$2 }'

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python of version 3.11 or newer found; install one or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "1/3 installing (two to six minutes, 1.8 GB)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "error: $(PYTHON) cannot make a virtual environment; on Debian install python3-venv" >&2; exit 1; }
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/jupyter labextension disable --level=sys_prefix "@jupyterlab/apputils-extension:announcements" > /dev/null 2>&1
	@touch $@

$(WARM): $(STAMP) $(wildcard traderagent/*/*.py traderagent/*/*/*.py)
	@echo "2/3 compiling once (about two minutes)"
	@$(BIN)/python -m traderagent.warm
	@touch $@

repro: $(WARM)  ## set up and run the main job; CANDLES=folder takes your own candles
	@echo "3/3 stages"
	@$(if $(CANDLES),test -e "$(CANDLES)" || { echo "error: no folder or file $(CANDLES); say CANDLES=path/to/candles" >&2; exit 1; })
	@$(if $(CANDLES),dvc exp run -S params/data.yaml:source=files -S "params/data.yaml:options.files.path=$(CANDLES)",dvc repro) || { echo "error: stopped before the end; reports/index.html, where there is one, is of an earlier run$(if $(CANDLES),; $(CHOSEN))" >&2; exit 1; }
	@$(if $(CANDLES),echo "$(CHOSEN)")
	@echo "open $(CURDIR)/reports/index.html"

test: $(STAMP)  ## fast tests and every notebook with its small defaults
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not peers" tests
	@$(NOTEBOOKS) $(ALONE) & alone=$$!; \
	$(NOTEBOOKS) $(filter-out $(ALONE),$(sort $(wildcard notebooks/*.ipynb))); others=$$?; \
	wait $$alone && exit $$others

slow: $(STAMP) peers  ## the long tests: browser, real candles, other backtesters
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder -m "slow or peers" tests

twins: $(STAMP)  ## after a change of a kernel: its plain twin on a thousand markets a kind (an hour or two)
	@TWIN_MARKETS=1000 $(BIN)/python -m pytest -n 2 --dist load -m slow -k many_markets tests/engine tests/account

mutants: $(STAMP)  ## the money code with one thing wrong at a time: do the tests notice (about 45 minutes)
	@$(BIN)/python -m tests.mutants.run

peers: $(PEERS)  ## install the backtesters that serve as oracles
$(PEERS): peers.lock $(STAMP)
	@$(PIP) install --require-hashes --no-deps --requirement peers.lock
	@touch $@

lab: $(WARM)  ## open JupyterLab at the first notebook; what is saved in notebooks/ is stored clean
	@JUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter$${JUPYTER_CONFIG_PATH:+:$$JUPYTER_CONFIG_PATH}" $(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" notebooks/start.ipynb

lint: $(STAMP)  ## style, types, spelling, clean notebooks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/typos
	@$(BIN)/python tests/house/notebooks.py --check

bench: $(STAMP)  ## benchmarks, with what other backtesters need where they are installed
	@$(BIN)/python -m pytest tests/benchmarks --quiet --benchmark-only --benchmark-quiet

cluster-demo: $(WARM)  ## a sweep on two workers of which one dies, against the same sweep here
	@$(BIN)/python -m docs.cluster_demo

docs: $(STAMP)  ## write the reference page from what the code declares
	@$(BIN)/python -m docs.reference

lock:  ## write requirements.lock and peers.lock again (needs uv)
	@.ci/lock

clean:  ## remove results and caches, keep the environment and your candles
	@rm -rf reports/*.html reports/*.ipynb data/candles data/small data/results data/checkpoints data/*.parquet .pytest_cache .ruff_cache .mypy_cache .hypothesis .benchmarks
	@find traderagent tests -name __pycache__ -type d -prune -exec rm -rf {} +
