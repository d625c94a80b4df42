# Everything sets itself up: Python 3.11 or later and make are enough to begin with.
# `make help` lists the targets.

UV_BOOTSTRAP := .tools/uv
UV := $(UV_BOOTSTRAP)/bin/uv
VENV := .venv/.synced
PYTHON := .venv/bin/python
SAM := tools/sam/.venv/bin/sam
# SAM's python3.13 build method installs with the pip of the python3.13 that it finds first.
SAM_BUILD := PATH="$(CURDIR)/.venv/bin:$$PATH" $(SAM) build
REQUIREMENTS := layers/dependencies/requirements.txt
# The processor of the functions: arm64 or x86_64.
Architecture ?= arm64
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help run test sam-local check format bench build artefact browser screenshots deploy clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

run: $(VENV) ## The main job on this machine (ONCE=1: the samples, then exit; SPEED=3600: a fast clock)
	@$(PYTHON) -m local run $(if $(ONCE),--once) $(if $(LISTEN),--listen $(LISTEN)) $(if $(SPEED),--speed $(SPEED))

test: $(VENV) artefact browser ## All tests
	@$(PYTHON) -m pytest $(TESTS)

sam-local: $(VENV) artefact ## Each file of events/ and the page through `sam local`; needs Docker
	@docker info >/dev/null || (echo "A Docker engine is needed, and there is none here"; exit 1)
	@$(PYTHON) -m pytest tests/sam_local

check: $(VENV) $(SAM) ## Lint, types, template, and the layer's pins against uv.lock
	@.venv/bin/ruff format --check --quiet . || (echo "make format mends this"; exit 1)
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@$(call export,$(REQUIREMENTS).fresh); cmp $(REQUIREMENTS) $(REQUIREMENTS).fresh; status=$$?; rm -f $(REQUIREMENTS).fresh; exit $$status
	@$(SAM) validate --lint
	@tools/sam/.venv/bin/cfn-lint template.yaml

format: $(VENV) ## Put the code into ruff's form
	@.venv/bin/ruff check --quiet --fix .; .venv/bin/ruff format --quiet .

build: $(VENV) $(SAM) ## Build functions and layers for AWS (Architecture=arm64|x86_64) into .aws-sam/build
	$(SAM_BUILD) --parameter-overrides Architecture=$(Architecture)
	@$(call prune,.aws-sam/build)
	@$(call compile,.aws-sam/build)

deploy: build ## Deploy to AWS: asks at first, samconfig.toml remembers
	$(SAM) deploy --parameter-overrides Architecture=$(Architecture) $(if $(shell grep -s ^region samconfig.toml),,--guided)

bench: $(VENV) ## Benchmarks, as ratios and medians (QUICK=1: a first idea, within a minute)
	@$(PYTHON) -m benchmarks $(if $(QUICK),--quick)

# The system's Chromium, or one of Playwright's own; without either the tests of the page are left out, and say so.
browser: $(VENV)
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
		.venv/bin/playwright install chromium >.playwright.log 2>&1 || \
		echo "No Chromium here, and none could be fetched (.playwright.log): tests/browser is left out"

screenshots: $(VENV) browser ## Pictures of the page and of a report, into docs/
	@$(PYTHON) -m tests.browser.screenshots
	@$(PYTHON) -m tests.browser.report_screenshots

artefact: $(VENV) $(SAM)
	@$(SAM_BUILD) --parameter-overrides Architecture=x86_64 --build-dir .aws-sam/x86_64 >.aws-sam.log 2>&1 || (cat .aws-sam.log; exit 1)
	@$(call prune,.aws-sam/x86_64)
	@$(call compile,.aws-sam/x86_64)

clean: ## Remove all that was made here
	rm -rf .venv .tools .local .aws-sam tools/sam/.venv

$(UV):
	@echo "Setting up (once) …"
	@python3 -m venv $(UV_BOOTSTRAP)
	@$(UV_BOOTSTRAP)/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.13"

$(VENV): pyproject.toml uv.lock $(UV)
	@$(UV) sync --quiet --frozen
	@touch $(VENV)

$(SAM): tools/sam/pyproject.toml tools/sam/uv.lock $(UV)
	@$(UV) sync --quiet --frozen --project tools/sam
	@touch $(SAM)

# Two thirds of the layer would be descriptions of AWS's other services, which each new environment had to fetch.
AWS_SERVICES := backup dynamodb sesv2 sqs
prune = find $(1)/DependenciesLayer/python/boto*/data -mindepth 1 -maxdepth 1 -type d $(AWS_SERVICES:%=! -name %) -exec rm -r {} +
# Layers can't be written to: without this, each new environment compiles all that it imports, over half of its start.
# By hash, as files have other times once they are deployed.
compile = $(PYTHON) -m compileall -q -j 0 --invalidation-mode checked-hash $(1)/DependenciesLayer $(1)/SharedLayer

# The pins of the dependencies layer, hashes and all, from the lock.
export = $(UV) export --quiet --frozen --no-dev --no-emit-project --no-annotate --no-header --output-file $(1)
$(REQUIREMENTS): uv.lock $(UV)
	@$(call export,$@)
