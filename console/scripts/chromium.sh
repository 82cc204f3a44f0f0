#!/usr/bin/env bash
# Puts Debian's Chromium on a bare machine, for the browser tests. Does nothing where one is.
set -euo pipefail
browser=${CHROMIUM:-/usr/bin/chromium}
[ -x "$browser" ] && exit 0
command -v apt-get > /dev/null || {
  printf 'failed to find %s and apt-get: install Chromium and name it in CHROMIUM\n' "$browser" >&2
  exit 1
}
[ "$(id -u)" = 0 ] || {
  printf 'failed to find %s: run as root: apt-get install chromium fonts-dejavu-core\n' "$browser" >&2
  exit 1
}
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core > /dev/null
"$browser" --version --no-sandbox
