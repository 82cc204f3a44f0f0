#!/usr/bin/env bash
# make soak: the randomised checks again and again with new seeds, each seed printed. ROUNDS says how often.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
rounds=${ROUNDS:-10}
cargo build --locked --workspace --bins
cargo test --locked --workspace --bins --lib --tests --no-run
for round in $(seq "$rounds"); do
  say "round $round of $rounds"
  PROPTEST_CASES=${PROPTEST_CASES:-20000} cargo test --locked -p endcap-recommender --tests
  cargo test --locked -p endcap-eventlog --tests
  PROPTEST_CASES=${PROPTEST_CASES:-20000} cargo test --locked -p endcap-insights --test folding_is_insensitive_to_cuts
  cargo test --locked -p endcap-insights --test experiments_tell_chance_from_effect -- --nocapture --include-ignored
  ENDCAP_SOAK=1 cargo test --locked -p endcap-operator-core --tests -- --nocapture
  ENDCAP_KILL_ROUNDS=${KILL_ROUNDS:-34} cargo test --locked -p endcap-tests --tests -- --nocapture
done
