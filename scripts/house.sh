#!/usr/bin/env bash
# House rules that no linter knows: files that grew too long, hosts and machine paths that do not belong here.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=0
while IFS= read -r file; do
  lines=$(wc -l < "$file")
  if [ "$lines" -gt 800 ]; then
    printf '%s has %s lines: split it (over 800)\n' "$file" "$lines"; bad=1
  elif [ "$lines" -gt 500 ] && ! head -n 15 "$file" | grep -qi 'long because'; then
    printf '%s has %s lines: split it, or give the reason in its head ("long because ...")\n' "$file" "$lines"; bad=1
  fi
done < <(git ls-files '*.rs' '*.sh')
if git grep -nIE '(crates\.io|index\.crates|registry\.npmjs|proxy\.golang|deb\.debian|pypi\.org)' -- . ':!Cargo.lock' ':!deny.toml' ':!scripts/house.sh'; then
  echo 'a package registry is named: leave its choice to the machine'; bad=1
fi
if git grep -nIE '/work/(main|shared)|/root/' -- . ':!scripts/house.sh'; then
  echo 'a path of one machine is written: make it relative or configurable'; bad=1
fi
exit $bad
