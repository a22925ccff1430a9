# Every target sets up what it needs: a virtual environment with pinned packages, and bubblewrap.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
CLIENTS := 1.55.3

.PHONY: demo test check bench dist docs format constraints system clean

demo: $(INSTALLED) ## play a data analyst in front of your eyes, offline
	$(BIN)/understudy demo

test: $(INSTALLED) $(CLIENTS:%=.clients/openai-%/.installed) .clients/aimock/.installed ## run all tests
	$(BIN)/python -m pytest

check: $(INSTALLED) ## formatting, lint, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## mend formatting and what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED) ## measure, as ratios to baselines of the same run
	$(BIN)/python bench/server.py

dist: $(INSTALLED) ## build the wheel and the source archive
	rm -rf dist
	$(BIN)/uv build --no-build-isolation --out-dir dist --offline

docs: $(INSTALLED) ## write the pages that are generated
	$(BIN)/python docs/generate.py

# A Chat Completions server that others wrote, with a Node of its own, as the tests need Python alone.
.clients/aimock/.installed: $(INSTALLED) $(wildcard tests/third_party/aimock/package*.json) \
    tests/third_party/aimock/requirements.txt
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .clients/aimock
	$(BIN)/uv pip install --quiet --python .clients/aimock/bin/python \
	  --requirement tests/third_party/aimock/requirements.txt
	cp tests/third_party/aimock/package.json tests/third_party/aimock/package-lock.json .clients/aimock/
	PATH="$(CURDIR)/.clients/aimock/bin:$$PATH" npm ci --prefix .clients/aimock --silent --ignore-scripts \
	  --no-audit --no-fund
	touch $@

constraints: $(INSTALLED) ## pin the newest versions of everything
	printf '# Every package that the Makefile installs, pinned; remade with: make constraints\n' > constraints.txt
	$(BIN)/uv pip compile pyproject.toml --extra interpreter --extra postgres --group dev --universal \
	  --python-version 3.11 --no-header --no-annotate --quiet >> constraints.txt
	$(BIN)/python -m pip list --format freeze | grep -E '^(pip|hatchling)=' >> constraints.txt

clean: ## remove what these targets made
	rm -rf .venv .clients dist

$(INSTALLED): pyproject.toml constraints.txt | system
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip uv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable '.[interpreter]'
	touch $@

# An older official client, in an environment of its own: applications pin theirs.
.clients/openai-%/.installed: $(INSTALLED) tests/clients/constraints-%.txt
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .clients/openai-$*
	$(BIN)/uv pip install --quiet --python .clients/openai-$*/bin/python openai==$* \
	  --constraint tests/clients/constraints-$*.txt
	touch $@

system:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && command -v bwrap >/dev/null || sh docker/install-system-packages.sh
