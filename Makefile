# Every target sets up what it needs. Choose an interpreter with PYTHON, and where its tools go with VENV:
#     make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
GROUP ?= dev
PYTEST_ARGS ?=
RELEASES ?=
PART ?=
BENCH_ARGS ?=
SOAK_ARGS ?=
SOAK_SEEDS ?= 100000
SOAK_FIRST ?= 0
FUZZ_SECONDS ?= 60
FUZZ_ARGS ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(GROUP)
BENCH := .cache/bench
FUZZ := .cache/fuzzer
SITE := .cache/sphinx
DIST := .cache/dist
BELOW_THE_DOORS := */pellucid/errors.py,*/limits.py,*/urls.py,*/flavors/*,*/wire/*,*/core/*,*/auth/*

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help venv demo test soak soak-seeds soak-processes interop lint format types layers docs site pages coverage \
	valgrind instructions bench fuzz dist dist-check constraints clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

venv: $(READY) ## set up the tools (every other target does so by itself)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'pellucid needs Python 3.11 or newer as $(PYTHON); choose another: make PYTHON=python3.13' >&2; exit 1; }
	@echo 'setting up $(VENV) ($(GROUP))'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --constraint constraints.txt pip
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --build-constraint constraints.txt \
		--editable . --group $(GROUP)
	@touch $@

demo: $(READY) ## run the demonstration
	$(BIN)/python examples/demo.py

test: $(READY) ## run the whole suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

interop: $(READY) ## run the tests against stock Twisted of every age and Buildbot, or RELEASES='24.3.0 buildbot'
	$(BIN)/python tests/interop/environments.py $(if $(PART),--part $(PART)) $(RELEASES) -- $(PYTEST_ARGS)

lint: $(READY) ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY) ## check types, twice, and that users of the package are told every type
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	@# this one finds Python by PATH alone
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pyright --verifytypes pellucid --ignoreexternal

layers: $(READY) ## check that imports point down
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/system/test_layers.py $(PYTEST_ARGS)

docs: $(READY) ## run the pages' programs and follow their links
	$(BIN)/python -m pytest tests/system/test_docs.py $(PYTEST_ARGS)

site: $(SITE)/.ready ## make a site of the pages, site/index.html, with the API from docstrings, and follow its links
	@rm -rf site
	$(SITE)/bin/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env --jobs auto \
		--conf-dir docs/site --doctree-dir .cache/doctrees . site
	$(SITE)/bin/python docs/site/check.py site

$(SITE)/.ready: constraints.txt pyproject.toml
	@echo 'setting up $(SITE)'
	@$(PYTHON) -m venv --clear $(SITE)
	@$(SITE)/bin/python -m pip install -qq --constraint constraints.txt pip
	@$(SITE)/bin/python -m pip install -qq --constraint constraints.txt --build-constraint constraints.txt \
		--editable . --group docs
	@touch $@

pages: $(READY) ## write the pictures, and the parts of pages that are made from the code
	$(BIN)/python docs/generated.py
	$(BIN)/python docs/pictures/draw.py

coverage: $(READY) ## run the whole suite and measure it; below the doors 95 % of branches and lines are a must
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --omit '$(BELOW_THE_DOORS)'
	$(BIN)/coverage report --include '$(BELOW_THE_DOORS)' --fail-under 95

soak: soak-seeds soak-processes ## do for hours what the suite does for seconds

soak-seeds: $(READY) # simulated worlds, of which the suite runs a thousand
	$(BIN)/python -m tests.simulation.soak --seeds $(SOAK_SEEDS) --first $(SOAK_FIRST)

soak-processes: $(READY) # a million calls and a thousand connections in each dialect on each loop, and many deaths
	$(BIN)/python -m tests.soak $(SOAK_ARGS)
	DEATHS=300 $(BIN)/python -m pytest tests/system/test_killed.py --timeout 600 -o faulthandler_timeout=700 \
		$(PYTEST_ARGS)

valgrind: ## install valgrind where it's missing, for make instructions (Debian, as root)
	@if command -v valgrind > /dev/null; then valgrind --version; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		apt-get install -qq -y valgrind || { apt-get update -qq && apt-get install -qq -y valgrind; }; \
	else echo 'valgrind is not installed, and only root can install it, on Debian: left out'; fi

instructions: $(READY) ## count the instructions of the hot paths, and hold them to their budget
	$(BIN)/python benchmarks/instructions.py

bench: $(BENCH)/.ready ## measure pellucid beside its peers, as BENCH_ARGS='--quick --check' says (about half an hour)
	$(BENCH)/bin/python -m benchmarks $(BENCH_ARGS)

$(BENCH)/.ready: benchmarks/requirements.txt constraints.txt pyproject.toml
	@echo 'setting up $(BENCH)'
	@$(PYTHON) -m venv --clear $(BENCH)
	@$(BENCH)/bin/python -m pip install -qq --constraint constraints.txt pip
	@$(BENCH)/bin/python -m pip install -qq --requirement benchmarks/requirements.txt || { \
		echo 'not all peers can be installed: those that can, one by one'; \
		sed '/^#/d' benchmarks/requirements.txt | while read -r pin; do \
			$(BENCH)/bin/python -m pip install -qq --no-deps "$$pin" || echo "LEFT OUT: $$pin"; \
		done; }
	@$(BENCH)/bin/python -m pip install -qq --build-constraint constraints.txt --editable .
	@touch $@

fuzz: $(FUZZ)/.ready ## let the fuzzer at each target for FUZZ_SECONDS, or at some: FUZZ_ARGS='server client'
	$(FUZZ)/bin/python -m fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

$(FUZZ)/.ready: constraints.txt pyproject.toml
	@echo 'setting up $(FUZZ)'
	@$(PYTHON) -m venv --clear $(FUZZ)
	@$(FUZZ)/bin/python -m pip install -qq --constraint constraints.txt pip
	@$(FUZZ)/bin/python -m pip install -qq --constraint constraints.txt --build-constraint constraints.txt \
		--editable . --group fuzz
	@touch $@

dist: $(DIST)/.ready ## build the sdist and the wheel into dist/, and check what they say of themselves
	rm -rf dist
	PIP_CONSTRAINT=$(abspath constraints.txt) $(DIST)/bin/python -m build
	$(DIST)/bin/twine check --strict dist/*

dist-check: dist ## install both as users do, with no extra and with each alone, and see that they work
	$(DIST)/bin/python -u tests/packaging/distributions.py dist $(PYTHON)

$(DIST)/.ready: constraints.txt pyproject.toml
	@echo 'setting up $(DIST)'
	@$(PYTHON) -m venv --clear $(DIST)
	@$(DIST)/bin/python -m pip install -qq --constraint constraints.txt pip
	@$(DIST)/bin/python -m pip install -qq --constraint constraints.txt --group dist
	@touch $@

constraints: ## resolve every tool anew and rewrite constraints.txt
	rm -rf .cache/resolve
	$(PYTHON) -m venv .cache/resolve
	.cache/resolve/bin/python -m pip install -qq --upgrade pip
	@# hatchling asks for editables by itself when it makes an editable install
	.cache/resolve/bin/python -m pip install -qq --group dev --group dist --group docs --group fuzz hatchling editables
	echo '# The exact version of every development tool, the build backend included. Rewritten by `make constraints`.' \
		> constraints.txt
	.cache/resolve/bin/python -m pip freeze --all --exclude setuptools >> constraints.txt

clean: ## remove all that make made
	rm -rf .venv* .cache dist site docs/reference/api examples/*.rst .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests examples -name __pycache__ -prune -exec rm -rf {} +
