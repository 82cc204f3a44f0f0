#!/usr/bin/env bash
# make test: every test. Starts what tests need (an S3-compatible store), says loudly what could not run.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need cargo "install Rust 1.95 (rustup)"
NOT_RUN=
started=$SECONDS
machine

store_pid=
scratch=$(mktemp -d)
# What every tier printed stays readable after the run, whole.
logs=$ENDCAP_CACHE/logs
mkdir -p "$logs"
cluster_is_ours=
finish() {
  if [ -n "$cluster_is_ours" ]; then python3 -m cluster down > /dev/null 2>&1 || true; fi
  if [ -n "$store_pid" ]; then kill "$store_pid" 2> /dev/null || true; wait "$store_pid" 2> /dev/null || true; fi
  rm -rf "$scratch"
}
trap finish EXIT

say "S3-compatible store (versitygw)"
if command -v go > /dev/null && scripts/tools.sh versitygw; then
  export AWS_ACCESS_KEY_ID=endcap AWS_SECRET_ACCESS_KEY=endcap-secret AWS_REGION=us-east-1
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  mkdir -p "$scratch/s3/endcap-test"
  ROOT_ACCESS_KEY=$AWS_ACCESS_KEY_ID ROOT_SECRET_KEY=$AWS_SECRET_ACCESS_KEY \
    "$ENDCAP_CACHE/bin/versitygw" --port "127.0.0.1:$port" posix "$scratch/s3" > "$scratch/s3.log" 2>&1 &
  store_pid=$!
  for _ in $(seq 50); do
    if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then break; fi
    sleep 0.1
  done
  kill -0 "$store_pid" 2> /dev/null || { cat "$scratch/s3.log"; cannot_run "object storage over S3" "versitygw did not start"; }
  export ENDCAP_TEST_S3_ENDPOINT=http://127.0.0.1:$port ENDCAP_TEST_S3_BUCKET=endcap-test AWS_ENDPOINT_URL=http://127.0.0.1:$port
  echo "listening on $ENDCAP_TEST_S3_ENDPOINT"
else
  cannot_run "object storage over S3" "Go is needed to build versitygw: install Go 1.26"
fi

say "build of programs and tests (the first time: 15 to 25 minutes on two cores, mostly the SQL engine)"
# The whole-system tests start the programs themselves: these are built by `build`, not by `test`.
cargo build --locked --workspace --bins
cargo test --locked --workspace --bins --lib --tests --no-run
built=$SECONDS

say "tests (what each prints: $logs/tests.log)"
# Whole-system tests take loopback ports and the clock: one test program at a time, as cargo does.
cargo test --locked --workspace --bins --lib --tests --no-fail-fast -- --show-output 2>&1 | tee "$logs/tests.log" |
  grep --line-buffered -E '^ +(Running|Doc-tests) |^test result: .* [1-9][0-9]* (passed|failed)|^test .*FAILED|SKIPPED|^error' || true
if ! grep -q '^test result:' "$logs/tests.log"; then
  echo '!! no test ran' >&2; exit 1
fi
count() { awk -v word="$1" '/^test result:/ { for (i = 2; i <= NF; i++) if ($i ~ "^" word) n += $(i - 1) } END { print n + 0 }' "$logs/tests.log"; }
passed=$(count passed)
failed=$(count failed)

say "console: types, unit tests, and a real browser against the real programs"
console=ok
if command -v npm > /dev/null; then
  console/scripts/chromium.sh || cannot_run "console in a browser" "Chromium could not be installed: run as root on Debian, or name it in CHROMIUM"
  # One chain: in front of `||` the shell does not stop at a failure by itself.
  (
    cd console &&
      npm ci --no-audit --no-fund --silent &&
      npm run --silent generate && git diff --exit-code --stat -- src/generated &&
      npm run --silent lint &&
      npm test --silent &&
      npm run --silent build &&
      ENDCAP_PROGRAMS=$PROGRAMS npm run --silent test:browser
  ) || console=failed
else
  cannot_run "console" "npm is needed: install Node 20"
fi
kubernetes=ok
failures=()
# tier LOG TITLE COMMAND...: runs it, keeps what it prints; a failure is told at once and again at the end.
tier() {
  local log=$logs/$1.log title=$2 began=$SECONDS
  shift 2
  say "$title"
  if "$@" 2>&1 | tee "$log"; then
    echo "($((SECONDS - began)) s)"
  else
    kubernetes=failed
    failures+=("$log")
    printf '!! failed after %s s: %s\n' $((SECONDS - began)) "$*" >&2
  fi
}
if [ "$(id -u)" != 0 ]; then
  cannot_run "the operator on a real Kubernetes" "root is needed to start one (or ENDCAP_USE_CLUSTER=1 with KUBECONFIG and make demo-cluster)"
elif ! command -v go > /dev/null; then
  cannot_run "the operator on a real Kubernetes" "Go is needed to build its programs: install Go 1.26"
else
  say "Kubernetes' own programs (built once: about 12 minutes on two cores)"
  scripts/tools.sh helm kubectl kubeconform conntrack
  python3 -m cluster build > /dev/null
  if ! python3 -m cluster status > /dev/null 2>&1; then cluster_is_ours=yes; fi
  tier chart "chart: lint, schemas, rights, restricted pods" scripts/chart.sh lint
  tier api-server "a real API server" python3 -m cluster up --profile control-plane
  tier control-plane "API, crash and fault tiers" python3 -m tests.kubernetes
  config=$(python3 -m cluster status 2> /dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin)["kubeconfig"])')
  tier chart-dry-run "the chart's objects, as the API server takes them" scripts/chart.sh dry-run "$config"
  python3 -m cluster down
  tier image "the image, twice the same bytes" scripts/images.sh dev
  tier node "a real node" python3 -m cluster up --profile node
  tier import "the image on the node" python3 -m cluster import "$ENDCAP_CACHE/images/endcap-dev.tar"
  tier story "the story of make demo-cluster" python3 -m cluster story --once
  tier whole "what fails under load" python3 -m tests.kubernetes.whole
  python3 -m cluster down
fi
skipped=$(grep -c 'SKIPPED' "$logs/tests.log" || true)
say "done: build $((built - started)) s, tests $((SECONDS - built)) s"
if grep -q 'SKIPPED' "$logs/tests.log"; then grep 'SKIPPED' "$logs/tests.log" | sort | uniq -c; fi
if [ -n "$NOT_RUN" ]; then printf '!! NOT RUN: %s\n' "$NOT_RUN"; fi
# The end of the output is what everybody reads first: what failed stands there, with its words.
if [ "$failed" -gt 0 ]; then
  sed -n '/^failures:$/,/^test result:/p' "$logs/tests.log" | tail -n 120
fi
for log in ${failures[@]+"${failures[@]}"}; do
  say "the end of $log"
  tail -n 60 "$log"
done
echo "$passed passed, $failed failed, $skipped skipped"
if [ "$console" = failed ]; then echo '!! the console failed' >&2; exit 1; fi
if [ "$kubernetes" = failed ]; then echo '!! a tier on Kubernetes failed' >&2; exit 1; fi
if [ "$failed" -gt 0 ] || grep -qE '^error: (test failed|could not compile|[0-9]+ target)' "$logs/tests.log"; then exit 1; fi
