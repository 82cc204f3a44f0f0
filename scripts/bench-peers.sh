#!/usr/bin/env bash
# make bench-peers: our training steps and fits (P4, P5) against what a user would otherwise take, on the same data and threads, in turns:
# PyTorch, implicit, SciPy and NumPy with OpenBLAS. JOBS="two-tower als knn ease transformer transformer-sampled" picks some; ROUNDS=5, THREADS=2.
# The peers come from PyPI into $ENDCAP_CACHE/peers. PyTorch's wheel there does not load without CUDA's libraries, which it never calls on
# a CPU: 6 GB in all, so that it is left out, loudly, where less than 12 GB are free. PYTHON names an environment that is there already.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
export THREADS=${THREADS:-2} ROUNDS=${ROUNDS:-5}
read -r -a jobs <<< "${JOBS:-als knn ease transformer transformer-sampled two-tower}"

python=${PYTHON:-$ENDCAP_CACHE/peers/env/bin/python}
has() { "$python" -c "import $1" 2> /dev/null; }
if [ ! -x "$python" ]; then
  need python3 "Python makes the environment of the peers"
  say "an environment for the peers in $ENDCAP_CACHE/peers/env"
  mkdir -p "$ENDCAP_CACHE/peers"
  python3 -m venv "$ENDCAP_CACHE/peers/env"
fi
has implicit || "$python" -m pip install --quiet numpy scipy implicit threadpoolctl
if [[ " ${jobs[*]} " =~ " transformer"|" two-tower " ]] && ! has torch; then
  free_gb=$(df --output=avail -BG "$ENDCAP_CACHE" | tail -n 1 | tr -dc 0-9)
  if [ "$free_gb" -ge 12 ]; then
    say "PyTorch, with what it must load"
    "$python" -m pip install --quiet --no-cache-dir torch
  else
    cannot_run "transformers and two-tower beside PyTorch" "PyTorch wants 12 GB of free disk for its install, and $free_gb are free"
    kept=()
    for job in "${jobs[@]}"; do case $job in transformer* | two-tower) ;; *) kept+=("$job") ;; esac; done
    jobs=("${kept[@]}")
  fi
fi

machine
uptime
"$python" -c 'import importlib.metadata as m
print(*(f"{n} {m.version(n)}" for n in ("numpy", "scipy", "implicit", "torch") if m.packages_distributions().get(n)))'
two_tower=
others=()
for job in "${jobs[@]}"; do if [ "$job" = two-tower ]; then two_tower=1; else others+=("$job"); fi; done
if [ ${#others[@]} -gt 0 ]; then
  say "build"
  cargo bench --locked --profile dev -p endcap-methods --bench peers --no-run
  bench=$(cargo bench --locked --profile dev -p endcap-methods --bench peers --no-run --message-format json 2> /dev/null |
    sed -n 's/.*"executable":"\([^"]*peers-[^"]*\)".*/\1/p' | tail -n 1)
  say "${others[*]}"
  "$python" scripts/peers/peers.py "$bench" "${others[@]}"
fi
if [ -n "$two_tower" ]; then
  say "two-tower"
  PYTHON=$python ROUNDS_OF_BOTH=$ROUNDS ROUNDS=2 scripts/peers/two_tower.sh
fi
