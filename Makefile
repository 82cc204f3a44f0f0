# The door to everything. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Builds are kept outside the checkout, so that a fresh clone starts warm and the checkout stays as it was.
ENDCAP_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/endcap
export ENDCAP_CACHE
export CARGO_TARGET_DIR ?= $(ENDCAP_CACHE)/target
PROGRAMS := $(CARGO_TARGET_DIR)/debug

.PHONY: help
help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## the whole life of a model on this machine, told and checked; ONCE=1 ends by itself, DATA=<folder in Mv layout> takes real data
	@DATA='$(DATA)' ONCE='$(ONCE)' scripts/demo.sh

.PHONY: build
build: ## all programs, left in bin/
	cargo build --locked --workspace --bins
	@mkdir -p bin
	@for program in endcap endcap-data endcap-trainer endcap-eventlog endcap-insights endcap-predictor endcap-router; do \
	  cp -f "$(PROGRAMS)/$$program" bin/; done
	@ls -1s --block-size=M bin

.PHONY: test
test: ## every test; prints which tiers ran and says loudly which could not
	@scripts/test.sh

.PHONY: lint
lint: ## formatting, clippy, licences and bans, shell scripts
	@scripts/lint.sh

.PHONY: bench
bench: ## speeds: P1 (pipeline), P2 and P3 (HTTP), event log, with the machine's context
	@scripts/bench.sh

.PHONY: soak
soak: ## the long checks: many rounds, figures printed
	@scripts/soak.sh

.PHONY: generate
generate: ## writes again what is generated: CRD YAML, OpenAPI, schema docs, examples' data
	@scripts/generate.sh

.PHONY: clean-cache
clean-cache: ## removes the build cache
	rm -rf "$(ENDCAP_CACHE)"

.PHONY: console
console: ## the web UI: console/dist, which the programs embed when it is there
	cd console && npm ci && npm run build
