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
	@for program in endcap endcap-benchmark endcap-data endcap-evaluate endcap-report endcap-trainer endcap-eventlog endcap-insights endcap-operator endcap-predictor endcap-router endcap-store kubectl-endcap; do \
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

.PHONY: bench-peers
bench-peers: ## our fits and training steps beside PyTorch, implicit, SciPy and NumPy (from PyPI), in one run; JOBS="als knn ease transformer transformer-sampled two-tower"
	@scripts/bench-peers.sh

.PHONY: check-cuda
check-cuda: ## the trainer's feature cuda without a GPU: candle's kernels by nvcc (from PyPI, or CUDA_HOME), then cargo check
	@scripts/cuda.sh

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

.PHONY: cluster-up
cluster-up: ## a real Kubernetes on this machine (PROFILE=node or control-plane): docs/cluster.md
	@python3 -m cluster up --profile $(or $(PROFILE),node)

.PHONY: cluster-down
cluster-down: ## ends it and leaves nothing
	@python3 -m cluster down

.PHONY: cluster-status
cluster-status: ## what of it runs; exit code 1 when not all
	@python3 -m cluster status

.PHONY: images
images: build ## the project's image as an OCI archive, without a container engine; TAG=dev
	@scripts/images.sh $(or $(TAG),dev)

.PHONY: chart
chart: ## checks the Helm chart: lint, schemas, rights, restricted pods
	@scripts/chart.sh lint

.PHONY: chart-package
chart-package: ## the Helm chart as an archive in out/
	@mkdir -p out && scripts/chart.sh package out

.PHONY: demo-cluster
demo-cluster: ## the whole life of a model on a real Kubernetes, told with kubectl and checked; ONCE=1 ends by itself
	@ONCE='$(ONCE)' scripts/demo-cluster.sh
