#!/usr/bin/env bash
# make demo-cluster: builds programs and image, starts a real Kubernetes, installs the chart and tells the story with kubectl.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need cargo "install Rust 1.95 (rustup)"
need go "install Go 1.26: Kubernetes' own programs are built from their modules"
say "1/4 Building the programs (15 to 25 minutes on two cores the first time, seconds after that)"
cargo build --locked --workspace --bins
scripts/tools.sh helm versitygw kubectl
say "2/4 The image, without a container engine"
scripts/images.sh dev > /dev/null
say "3/4 The cluster (its programs are built once, about 12 minutes on two cores; then it starts in seconds)"
was_up=no
if python3 -m cluster status > /dev/null 2>&1; then was_up=yes; fi
python3 -m cluster up --profile node > /dev/null
finish() {
  # A cluster that was there before stays.
  if [ "$was_up" = no ]; then python3 -m cluster down; fi
}
trap finish EXIT
python3 -m cluster import "$ENDCAP_CACHE/images/endcap-dev.tar"
say "4/4 The story"
python3 -m cluster story ${ONCE:+--once}
