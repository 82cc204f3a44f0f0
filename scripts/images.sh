#!/usr/bin/env bash
# The project's image as an OCI archive, without a container engine: scripts/images.sh [TAG] [--allow-missing]
# Takes the programs that `make build` left in $CARGO_TARGET_DIR/debug and writes $ENDCAP_CACHE/images/endcap-TAG.tar (TAG: dev).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need python3 "install Python 3.11"
exec python3 -m cluster image "$@"
