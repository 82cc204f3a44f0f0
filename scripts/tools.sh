#!/usr/bin/env bash
# Puts the named helper programs into the cache (never into the checkout or the system): cargo-deny, versitygw.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
bin=$ENDCAP_CACHE/bin
mkdir -p "$bin"
for tool in "$@"; do
  [ -x "$bin/$tool" ] && continue
  case $tool in
    cargo-deny)
      say "building cargo-deny (once, a few minutes)"
      need cargo "install Rust 1.95 (rustup)"
      CARGO_TARGET_DIR=$ENDCAP_CACHE/tools-target cargo install --quiet --locked --root "$ENDCAP_CACHE" cargo-deny@0.20.2
      rm -rf "$ENDCAP_CACHE/tools-target"
      ;;
    versitygw)
      say "building versitygw, an S3-compatible store for tests (once, about a minute)"
      need go "install Go 1.26"
      GOBIN=$bin CGO_ENABLED=0 go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
      ;;
    *) printf 'unknown tool %s\n' "$tool" >&2; exit 1 ;;
  esac
done
