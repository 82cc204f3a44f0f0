#!/usr/bin/env bash
# Our two-tower step against PyTorch's best variants on this machine: the same shape, batch and threads, in turns. Prints every run,
# the medians and the ratios. ROUNDS_OF_BOTH=3, THREADS=2; USERS, ITEMS, DIM, BATCH, STEPS, ROUNDS as in the programs. PYTHON names a
# Python that has torch; scripts/bench-peers.sh makes one.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib.sh
export THREADS=${THREADS:-2}
python=${PYTHON:?scripts/bench-peers.sh names one}
machine
uptime
runs=$(mktemp)
trap 'rm -f "$runs"' EXIT
say "build"
cargo bench --locked --profile dev -p endcap-kernels --bench two_tower_step --no-run
for round in $(seq "${ROUNDS_OF_BOTH:-3}"); do
  say "round $round"
  RAYON_NUM_THREADS=$THREADS cargo bench --quiet --locked --profile dev -p endcap-kernels --bench two_tower_step | grep '^{' | tee -a "$runs"
  # each variant in a process of its own, for its peak memory
  for variant in sparse fused; do VARIANTS=$variant "$python" scripts/peers/torch_two_tower.py | tee -a "$runs"; done
done
say "medians"
"$python" - "$runs" << 'PY'
import collections, json, statistics, sys

runs = collections.defaultdict(list)
for line in open(sys.argv[1]):
    run = json.loads(line)
    runs[run["program"], run["variant"]].append(run)
median = lambda key, of: statistics.median(run[of] for run in runs[key])
ours = next(key for key in runs if key[0] == "endcap")
for key in runs:
    ms, mb = median(key, "ms_per_step"), median(key, "peak_mb")
    print(f"{' '.join(key):<32} {ms:8.2f} ms a step {mb:7.0f} MB at peak   "
          f"{ms / median(ours, 'ms_per_step'):5.2f}x our time {mb / median(ours, 'peak_mb'):6.2f}x our memory")
PY
