#!/usr/bin/env bash
# Formatting, clippy, bans and licences, shell syntax.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
say "format"
cargo fmt --all --check
say "clippy"
cargo clippy --locked --workspace --all-targets -- -D warnings
say "bans, licences, sources"
scripts/tools.sh cargo-deny
cargo-deny --locked check --hide-inclusion-graph bans licenses sources
say "shell"
for script in scripts/*.sh scripts/chart/*.sh .ci/run; do bash -n "$script"; done
say "who speaks to Kubernetes"
for package in endcap endcap-serving endcap-eventlog endcap-insights endcap-trainer endcap-data; do
  if cargo tree --locked -p "$package" -e normal 2> /dev/null | grep -q kube-client; then
    echo "$package links a Kubernetes client: only the operator may"; exit 1
  fi
done
say "chart"
scripts/chart.sh lint
say "python"
python3 -m compileall -q cluster tests/kubernetes tests/size scripts
say "house rules"
scripts/house.sh
