#!/usr/bin/env bash
# make soak: the randomised checks again and again with new seeds, each seed printed. ROUNDS says how often.
# make soak GOAL="G7 G8": long checks on a real Kubernetes of this machine instead, by the goal that they measure; GOAL=cluster: all of them.
# make soak GOAL=memory: ten million order lines within 2 GiB, in a memory cgroup. GOAL=growth: time and memory as data grows (P8).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# Promotions under load, rollbacks, an operator that is away: on a node, ROUNDS of each.
whole() { ROUNDS=${ROUNDS:-100} python3 -m tests.kubernetes.whole "$@"; }
# The operator against an API server, without a node: names of tests.
api() { python3 -m tests.kubernetes "$@"; }
# Each goal begins with a cluster of its own, and leaves none.
alone() {
  local status=0
  "$@" || status=$?
  python3 -m cluster down
  return "$status"
}

goal() {
  say "$1"
  case "$1" in
    G1 | G2 | G5) alone whole "$1" ;;
    # A crash before and after every write, and the takeover by another.
    G6) alone api test_crashes Leaders ;;
    G7) alone api test_a_second_look test_git_applies ;;
    # ENDCAP_SCALE="1000 20000": models and versions.
    G8) read -r -a sizes <<< "${ENDCAP_SCALE:-1000 20000}" && alone python3 -m tests.kubernetes.scale "${sizes[@]}" ;;
    memory) python3 -m tests.size.memory "${LINES_WANTED:-10000000}" ;;
    growth) python3 -m tests.size.growth ;;
    *) printf 'failed to find the goal %s: there are G1, G2, G5, G6, G7, G8, cluster for all of these, memory and growth\n' "$1" >&2 && return 2 ;;
  esac
}

if [ -n "${GOAL:-}" ]; then
  machine
  read -r -a goals <<< "${GOAL/cluster/G1 G2 G5 G6 G7 G8}"
  # Built before a cluster is up beside it.
  cargo build --locked --workspace --bins
  if python3 -m cluster status > /dev/null 2>&1; then
    printf 'a cluster is up, and these checks begin and end their own: run make cluster-down first\n' >&2
    exit 2
  fi
  failed=
  for one in "${goals[@]}"; do
    goal "$one" || failed="$failed $one"
  done
  if [ -n "$failed" ]; then printf '!! failed:%s\n' "$failed" >&2; exit 1; fi
  exit 0
fi

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
  ENDCAP_SOAK=1 ENDCAP_KILL_ROUNDS=${KILL_ROUNDS:-34} cargo test --locked -p endcap-tests --tests -- --nocapture
done
