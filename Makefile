# ARGS reaches the program behind a target, as in: make test ARGS="-k json"
SHELL = bash
.SHELLFLAGS = -o pipefail -c
PYTHON ?= python3
# In the order of the folders, so what takes longest begins first, and short files fill the gaps at the end.
# Many container images forbid compiled files; each process would then compile every test, and the project, anew.
PYTEST = PYTHONDONTWRITEBYTECODE= .venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: help setup run test test-fast soak bench check format lock screenshots clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

setup: .venv/made ## Make .venv with everything that is needed (PYTHON=python3.12 chooses the interpreter)

# Another interpreter that somebody names makes it anew; without a name it stays as it is.
version = $(shell $(1) -c 'import sys; print(sys.version)' 2>/dev/null)
ifneq ($(origin PYTHON),file)
ifneq ($(call version,"$(PYTHON)"),$(call version,.venv/bin/python))
.PHONY: .venv/made
endif
endif

.venv/made: pyproject.toml requirements-dev.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
		|| { echo "error: $(PYTHON) is not Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "error: $(PYTHON) lacks venv; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making .venv with $$("$(PYTHON)" --version) and $$(grep -c == requirements-dev.txt) packages, in about a minute:"
	@"$(PYTHON)" -m venv --clear .venv
	@# The list is complete, and the pip of Python 3.11 takes an extra of a package for one that is not pinned.
	@.venv/bin/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt \
		| awk '/^Collecting/ { printf "%s ", $$2; fflush() } /^Installing/ { print "\nInstalling them" ; fflush() }'
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: .venv/made ## Run the whole system on this machine (STORAGE=firestore keeps the jobs in the emulator)
	@.venv/bin/watchkeeper dev $(if $(STORAGE),--storage "$(STORAGE)") $(ARGS)

test: .venv/made ## Run the tests, some at a time
	$(PYTEST) $(ARGS)

test-fast: .venv/made ## Run the unit tests that are fast, in less than a minute
	$(PYTEST) tests/unit -m "not slow and not emulator" $(ARGS)

soak: .venv/made ## Inject faults with fresh seeds (SECONDS=600), or with one that broke a promise (SEED=123)
	@.venv/bin/python -m tests.faults.soak "$(or $(SECONDS),300)" $(SEED)

bench: .venv/made ## Measure all beside a bare client, fail when a budget is missed (BASE=COMMIT compares with that)
	@.venv/bin/python -m bench $(if $(BASE),--base "$(BASE)") $(ARGS)

check: .venv/made ## Check format, style, imports and types
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/lint-imports --no-logo
	.venv/bin/shellcheck deploy_functions.sh .ci/run
	.venv/bin/mypy
	@for folder in functions/*/; do \
		echo "mypy $$folder"; MYPYPATH="$$folder" .venv/bin/mypy "$$folder" || exit 1; \
	done

format: .venv/made ## Format the code and mend what ruff can mend
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

# Pins stay as they are until something asks for another: make lock ARGS=--upgrade, or ARGS="--upgrade-package urllib3".
# A function gets the very versions that are tested here.
lock: .venv/made ## Pin what the requirements.in files and pyproject.toml name
	.venv/bin/uv pip compile --quiet $(ARGS) pyproject.toml --extra mcp requirements-dev.in \
		functions/*/requirements.in agent/examples/requirements.in --output-file requirements-dev.txt
	@for folder in functions/*/; do \
		echo "uv pip compile $${folder}requirements.in"; \
		.venv/bin/uv pip compile --quiet $(ARGS) "$${folder}requirements.in" \
			--constraints requirements-dev.txt --output-file "$${folder}requirements.txt" || exit 1; \
	done

screenshots: .venv/made ## Take the pictures in docs/images anew, with a headless Chromium
	.venv/bin/python -m tests.screenshots
	.venv/bin/python -m tests.moving_picture

clean: ## Remove the environment and all caches; .env and .data stay
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
