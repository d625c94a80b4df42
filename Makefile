# Each target sets up what it needs: only Python 3.11 or later and make must be there.
# `make help` lists the targets.

UV_BOOTSTRAP := .tools/uv
UV := $(UV_BOOTSTRAP)/bin/uv
VENV := .venv/.synced
PYTHON := .venv/bin/python
# Python that keeps what it has compiled, away from the sources, which are what is deployed.
KEEPING := env -u PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX='$(CURDIR)/.venv/pycache' $(PYTHON)
SAM := tools/sam/.venv/bin/sam
CHECKOV := tools/checkov/.venv/bin/checkov
# SAM's build method python3.13 installs with the pip of the first python3.13 on the PATH.
SAM_BUILD := PATH="$(CURDIR)/.venv/bin:$$PATH" $(SAM) build
REQUIREMENTS := layers/dependencies/requirements.txt
# The processor of the functions: arm64 or x86_64.
Architecture ?= arm64
export SAM_CLI_TELEMETRY := 0
# The parts of `make check`, the longest first.
CHECKS := check-template check-policies check-sam check-secrets check-types check-rooms check-reference check-advisories check-form check-pins

.DEFAULT_GOAL := help
.PHONY: help run test faults sam-local check $(CHECKS) audit format docs bench build artefact browser screenshots deploy deployed-with clean

help: ## The targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

# Without a shell between make and Python, which would not pass a signal on.
run: $(VENV) ## The service on this machine (ONCE=1: the samples, then exit; PORT=9000; QUIET=1; SPEED=3600: a fast clock)
	@exec $(KEEPING) -m local run $(foreach name,ONCE LISTEN SPEED PORT QUIET,'$(name)=$(subst ','\'',$($(name)))')

# One process more than there are cores, as tests also wait. Each has a stack of its own.
PROCESSES := $(shell echo $$(($(shell nproc 2>/dev/null || echo 3) + 1)))
test: $(VENV) artefact browser ## All tests
	@$(KEEPING) -m pytest --numprocesses $(PROCESSES) --maxprocesses 5 --dist loadfile --no-loadscope-reorder $(TESTS)

sam-local: $(VENV) artefact ## Each file of events/ and the page through `sam local`; needs Docker
	@docker info >/dev/null || (echo "A Docker engine is needed, and there is none here"; exit 1)
	@$(PYTHON) -m pytest tests/sam_local

# Needs neither the artefact nor a browser.
faults: $(VENV) ## The fault suite in full: each way at each call, and 1,000 worlds (SEEDS=1000), in half an hour or more
	@EVERY=1 SEEDS=$(or $(SEEDS),1000) $(KEEPING) -m pytest --numprocesses $(PROCESSES) --dist worksteal tests/faults

check: $(VENV) $(SAM) $(CHECKOV) ## Form, types, pins, the template, secrets, and known vulnerabilities (make audit)
	@$(MAKE) --no-print-directory --keep-going --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) $(CHECKS)

check-form: $(VENV)
	@.venv/bin/ruff format --check --quiet . || (echo "run make format to repair this"; exit 1)
	@.venv/bin/ruff check --quiet .
	@! git grep -nE '# noqa(:[A-Z0-9, ]*\bS[0-9]+[A-Z0-9, ]*)?$$' -- '*.py' || (echo "give the reason why these need not follow a rule of security: # noqa: S… - reason"; exit 1)

check-types: $(VENV)
	@.venv/bin/mypy

check-rooms: $(VENV)
	@answer=$$(.venv/bin/lint-imports --no-logo --no-cache) || { echo "$$answer"; exit 1; }

check-reference: $(VENV)
	@$(PYTHON) tools/reference.py --check

docs: $(VENV) ## Write docs/reference.md anew from template.yaml
	@$(PYTHON) tools/reference.py

check-pins: $(UV)
	@$(call export,$(REQUIREMENTS).fresh); cmp $(REQUIREMENTS) $(REQUIREMENTS).fresh; status=$$?; rm -f $(REQUIREMENTS).fresh; exit $$status

check-sam: $(SAM)
	@$(SAM) validate --lint

check-template: $(SAM)
	@tools/sam/.venv/bin/cfn-lint template.yaml

# checkov ignores resources that a condition switches off by default, so it gets the template without conditions, on the
# same lines. It also passes a file that it cannot read, hence the check that there were passed checks.
check-policies: $(CHECKOV)
	@mkdir -p .aws-sam/checkov; sed 's/^    Condition: .*//' template.yaml >.aws-sam/checkov/template.yaml
	@$(CHECKOV) --file .aws-sam/checkov/template.yaml >.aws-sam/checkov/answer 2>&1; status=$$?; cat .aws-sam/checkov/answer; \
		test $$status -eq 0 && grep -q 'Passed checks: [1-9]' .aws-sam/checkov/answer

check-secrets: $(VENV)
	@tools/secrets

# Exit status 2: the database gave no answer, as the script reports. Without a network a change may still land.
check-advisories: $(VENV)
	@tools/advisories || test $$? -eq 2

audit: $(VENV) ## Known vulnerabilities of all locked packages; fails also if the database gives no answer
	@tools/advisories

format: $(VENV) ## Format the code with ruff
	@.venv/bin/ruff check --quiet --fix .; .venv/bin/ruff format --quiet .

build: $(VENV) $(SAM) ## Build functions and layers for AWS (Architecture=arm64|x86_64) into .aws-sam/build
	$(SAM_BUILD) --parameter-overrides Architecture=$(Architecture)
	@$(call prune,.aws-sam/build)
	@$(call compile,.aws-sam/build)

# A changed parameter makes new versions of the functions by DEPLOYED_WITH in template.yaml.
BUILT := .aws-sam/build/template.yaml
deployed-with:
	@sed -i.before "s/DEPLOYED_WITH: .*/DEPLOYED_WITH: '$(firstword $(shell echo '$(Architecture) $(PARAMETERS)' | cksum))'/" $(BUILT)

deploy: build deployed-with ## Deploy to AWS: asks at first, samconfig.toml remembers (PARAMETERS="Name=value …")
	$(SAM) deploy --parameter-overrides Architecture=$(Architecture) $(PARAMETERS) $(if $(shell grep -s ^region samconfig.toml),,--guided)

BENCHMARKS := $(if $(filter bench,$(firstword $(MAKECMDGOALS))),$(wordlist 2,99,$(MAKECMDGOALS)))
bench: $(VENV) ## Benchmarks, as ratios and medians (make bench cost: only that; QUICK=1: rough figures within a minute)
	@$(PYTHON) -m benchmarks $(if $(QUICK),--quick) $(BENCHMARKS)

# The names behind `make bench` are no targets.
$(BENCHMARKS):
	@:

# The system's Chromium, or Playwright's own. Without either, the tests of the page are skipped with a message.
browser: $(VENV)
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
		.venv/bin/playwright install chromium >.playwright.log 2>&1 || \
		echo "No Chromium here, and none could be fetched (.playwright.log): tests/browser is left out"

screenshots: $(VENV) browser ## Pictures of the page and of a report, into docs/
	@$(PYTHON) -m tests.browser.screenshots
	@$(PYTHON) -m tests.browser.report_screenshots

artefact: $(VENV) $(SAM)
	@$(SAM_BUILD) --parameter-overrides Architecture=x86_64 --build-dir .aws-sam/x86_64 >.aws-sam.log 2>&1 || (cat .aws-sam.log; exit 1)
	@$(call prune,.aws-sam/x86_64)
	@$(call compile,.aws-sam/x86_64)

clean: ## Remove all files that make has made
	rm -rf .venv .tools .local .aws-sam tools/sam/.venv tools/checkov/.venv

$(UV):
	@echo "Setting up (once): uv, the installer, in $(UV_BOOTSTRAP) …"
	@python3 -m venv $(UV_BOOTSTRAP)
	@$(UV_BOOTSTRAP)/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.13"

$(VENV): pyproject.toml uv.lock $(UV)
	@echo "Setting up (once): Python 3.13 and $$(grep -c '^name = ' uv.lock) packages, in .venv …"
	@$(UV) sync --quiet --frozen
	@touch $(VENV)

$(SAM): tools/sam/pyproject.toml tools/sam/uv.lock $(UV)
	@echo "Setting up (once): the SAM CLI, in tools/sam/.venv …"
	@$(UV) sync --quiet --frozen --project tools/sam
	@touch $(SAM)

$(CHECKOV): tools/checkov/pyproject.toml tools/checkov/uv.lock $(UV)
	@echo "Setting up (once): checkov, in tools/checkov/.venv …"
	@$(UV) sync --quiet --frozen --project tools/checkov
	@touch $(CHECKOV)

# Descriptions of AWS's other services would be two thirds of the layer, which each new environment fetches.
AWS_SERVICES := backup dynamodb sesv2 sqs
prune = find $(1)/DependenciesLayer/python/boto*/data -mindepth 1 -maxdepth 1 -type d $(AWS_SERVICES:%=! -name %) -exec rm -r {} +
# Layers are read-only: without this, each new environment would compile all its imports, over half of its start. Files
# are compared by hash, as deployment changes their times.
compile = $(PYTHON) -m compileall -q -j 0 --invalidation-mode checked-hash $(1)/DependenciesLayer $(1)/SharedLayer

# The pins of the dependencies layer with their hashes, from the lock.
export = $(UV) export --quiet --frozen --no-dev --no-emit-project --no-annotate --no-header --output-file $(1)
$(REQUIREMENTS): uv.lock $(UV)
	@$(call export,$@)
