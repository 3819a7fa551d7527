# The two commands that matter are `make demo` and `make test`; `make help` lists the rest.
# A fresh clone needs Python >= 3.11 and make, nothing else.

PYTHON ?= python3
# Extra arguments for installing torch alone, e.g. a CPU wheel index where the default build is too large.
TORCH_INSTALL_ARGS ?=
PYTEST_ARGS ?= -n 2
# Options of a benchmark, e.g. BENCH_ARGS="--sets text --seeds 3".
BENCH_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Two test processes share the cores, so each computes on one; threads that wait do not spin.
TEST_ENVIRONMENT := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
SOURCES := api benchmarks curation docs/extensions examples migrations mts_core tests winnow worker

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint types imports migrations check format lock openapi cli-reference docs web web-check bench-foundation bench-quality bench-ablations bench-robustness bench-speed bench-figures bench-scale bench-dashboard bench-service bench-selectors clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

# Each lock is installed with hashes and without dependency resolution: it is complete by itself.
# torch comes last because its CPU and CUDA builds differ and so it carries no hash.
$(VENV)/installed-stack: requirements/stack.txt requirements/torch.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Winnow needs Python >= 3.11; name one with: make PYTHON=python3.11 ..."; exit 1; }
	@echo "Installing Winnow into $(VENV) (once; takes a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --no-deps --require-hashes -r requirements/stack.txt
	@$(PIP) $(TORCH_INSTALL_ARGS) -r requirements/torch.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed-stack requirements/dev.txt
	@$(PIP) --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/installed-stack ## Curate the shipped sample data through the real service
	@$(BIN)/winnow curate examples/digits/synthetic.zip examples/digits/reference.zip \
		--test examples/digits/test.zip -o demo/out --data demo/stack --seed 0

test: $(VENV)/installed-dev ## Run the test suite against real PostgreSQL and Valkey
	@$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: $(VENV)/installed-dev ## Run the tests that take more than ten seconds each
	@$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

lint: $(VENV)/installed-dev ## Check style and format
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)

types: $(VENV)/installed-dev ## Check types
	@$(BIN)/mypy

imports: $(VENV)/installed-dev ## Check who imports whom, and that every import is declared
	@$(BIN)/lint-imports
	@$(BIN)/deptry .

check: lint types imports ## Everything that reads the code without running it

format: $(VENV)/installed-dev ## Mend style and format
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

# pip-compile reads the lists in this order; each lock contains all that its setting needs.
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--annotation-style line --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	--unsafe-package torch --constraint requirements/torch.txt
# torch itself is left out of the locks: requirements/torch.txt pins it.
DROP_TORCH := sed -i -e '/^\# The following packages/,$$d' -e '/^torch==/,$$d'

lock: $(VENV)/installed-dev ## Resolve requirements/*.in into the hashed locks again
	cd requirements && for name in dev stack worker api docs; do \
		case $$name in \
			api) inputs="curation.in api.in" ;; \
			worker) inputs="curation.in worker.in" ;; \
			stack) inputs="curation.in api.in worker.in stack.in" ;; \
			dev) inputs="curation.in api.in worker.in stack.in dev.in" ;; \
			docs) inputs="docs.in" ;; \
		esac; \
		../$(subst requirements/,,$(COMPILE)) $$(test $$name = dev || echo --constraint dev.txt) \
			--output-file $$name.txt $$inputs && $(DROP_TORCH) $$name.txt || exit 1; \
	done

openapi: $(VENV)/installed-dev ## Write the OpenAPI snapshot again
	@$(BIN)/python -m api.openapi_snapshot docs/openapi.json

cli-reference: $(VENV)/installed-dev ## Write the reference of all commands into docs/cli.md again
	@$(BIN)/python -m winnow.cli_reference docs/cli.md

# Nothing here is imported: the reference is read off the sources. The variable silences a notice.
DOCS := build/docs-environment

$(DOCS)/installed: requirements/docs.txt
	@test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		-r requirements/docs.txt
	@touch $@

docs: $(DOCS)/installed ## Build the pages of docs/ into build/docs
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --strict

# The build is committed, so that nobody needs Node to run the service.
BUILD_DASHBOARD := cd web && npm ci --no-audit --no-fund --loglevel=error && npm run --silent check \
	&& npx vite build --logLevel warn --emptyOutDir --outDir

web: ## Build the dashboard's committed files again (needs Node >= 20.19)
	@$(BUILD_DASHBOARD) ../api/dashboard

web-check: ## Fail where the committed dashboard differs from a fresh build (needs Node >= 20.19)
	@$(BUILD_DASHBOARD) ../build/dashboard
	@diff -rq build/dashboard api/dashboard \
		|| { echo "api/dashboard differs from a fresh build of web/; run: make web"; exit 1; }

bench-foundation: $(VENV)/installed-dev ## Measure the methods on the folders in WINNOW_BENCH_DATA
	@$(BIN)/python benchmarks/foundation.py

bench-scale: $(VENV)/installed-dev ## Measure time and memory of a whole curation up to a million samples
	@$(BIN)/python benchmarks/scale.py

bench-quality: $(VENV)/installed-dev ## Measure methods and baselines on every benchmark set (half an hour)
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/quality.py $(BENCH_ARGS)

bench-ablations: $(VENV)/installed-dev ## Measure what each part of the methods is worth
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/ablations.py $(BENCH_ARGS)

bench-robustness: $(VENV)/installed-dev ## Look for small and bad pools on which a method fails
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/robustness.py $(BENCH_ARGS)

bench-speed: $(VENV)/installed-dev ## Measure what a step costs beside a plain weighted one
	@$(BIN)/python benchmarks/speed.py

bench-figures: $(VENV)/installed-dev ## Draw the figures in docs from the folders in WINNOW_BENCH_DATA
	@$(BIN)/python benchmarks/figures.py

bench-dashboard: $(VENV)/installed-dev ## Measure the dashboard in headless Chromium at a million samples
	@$(BIN)/python benchmarks/dashboard.py $(BENCH_ARGS)

bench-service: $(VENV)/installed-dev ## Measure the service at a million samples, each figure against its limit
	@$(BIN)/python benchmarks/service.py $(BENCH_ARGS)

bench-selectors: $(VENV)/installed-dev ## Measure how well selectors carry over to unseen halves
	@$(BIN)/python benchmarks/selector_transfer.py

clean: ## Remove what the demo and the tools left in this folder
	rm -rf demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
