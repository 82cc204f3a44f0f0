#!/usr/bin/env bash
# Writes again what is generated; a test of each says when it has drifted.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
say "custom resources and their reference"
cargo run --locked -q -p endcap-crds --bin endcap-crdgen -- --out crds/
say "OpenAPI"
cargo run --locked -q -p endcap-serving --bin endcap-openapi -- docs/openapi.json
say "schemas of the canonical tables"
UPDATE=1 cargo test --locked -q -p endcap-tables
git status --short crds docs examples
