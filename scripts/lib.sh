# Shared by the scripts: where caches are, what is on the machine, loud messages.
ENDCAP_CACHE=${ENDCAP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/endcap}
export ENDCAP_CACHE
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ENDCAP_CACHE/target}
export PATH="$ENDCAP_CACHE/bin:$PATH"
PROGRAMS=$CARGO_TARGET_DIR/debug

say() { printf '\n== %s\n' "$*"; }

# A tier that cannot run is said loudly; in CI it is a failure.
cannot_run() {
  printf '\n!! NOT RUN: %s\n!! reason:  %s\n' "$1" "$2"
  if [ "${CI:-}" = true ]; then
    printf '!! CI treats this as a failure.\n'
    exit 1
  fi
  NOT_RUN="${NOT_RUN:-}${NOT_RUN:+, }$1"
}

need() {
  command -v "$1" > /dev/null || { printf 'failed to find %s: %s\n' "$1" "$2" >&2; exit 1; }
}

machine() {
  printf 'machine: %s, %s cores, %s of memory; %s\n' \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
    "$(awk '/MemTotal/ {printf "%.1f GiB", $2 / 1048576}' /proc/meminfo)" "$(rustc --version)"
}
