#!/usr/bin/env bash
# make demo: builds what the demo needs (no DataFusion unless DATA is given), then tells the story.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need cargo "install Rust 1.95 (rustup)"
need cc "install a C compiler: apt-get install gcc"
need cmake "install cmake: apt-get install cmake (a C dependency of the TLS library needs it)"

packages=(-p endcap -p endcap-trainer -p endcap-serving -p endcap-eventlog -p endcap-insights)
about="9 to 12 minutes on two cores the first time"
if [ -n "${DATA:-}" ]; then
  [ -d "$DATA" ] || { printf 'failed to find the folder DATA=%s: name a folder with MV_* files\n' "$DATA" >&2; exit 1; }
  packages+=(-p endcap-data)
  about="20 to 25 minutes on two cores the first time, for it links the SQL engine that reads your layout"
fi
if [ -z "${ONCE:-}" ] && [ ! -f console/dist/index.html ]; then
  if command -v npm > /dev/null; then
    say "The console's pages (npm; a minute the first time)"
    (cd console && npm ci --no-audit --no-fund --silent && npm run --silent build > /dev/null)
  else
    echo "No npm: the console's pages are left out; the commands show the same."
  fi
fi
say "1/2 Building: $about, seconds after that. Nothing is installed; the cache is $ENDCAP_CACHE"
started=$SECONDS
cargo build --locked "${packages[@]}" --bins
say "2/2 Running (the build took $((SECONDS - started)) s). Ctrl-C ends it cleanly."
exec "$PROGRAMS/endcap" demo ${DATA:+--data "$DATA"} ${ONCE:+--once}
