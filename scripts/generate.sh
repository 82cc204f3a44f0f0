#!/usr/bin/env bash
# Writes again what is generated; a test of each says when it has drifted.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
cargo build --locked -q --workspace --bins
say "custom resources and their reference"
"$PROGRAMS/endcap-crdgen" --out crds/
scripts/chart.sh crds
say "OpenAPI"
"$PROGRAMS/endcap-openapi" docs
"$PROGRAMS/endcap-insights-openapi" docs
say "schemas of the canonical tables"
UPDATE=1 cargo test --locked -q --workspace --test tables_are_what_they_say
git status --short crds docs examples charts
