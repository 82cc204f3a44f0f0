#!/usr/bin/env bash
# make bench: P1 (the pipeline alone), P2 and P3 (over HTTP), the event log, scans, P4 (a step of a two-tower network), a training with
# one thread and two. P4 and P5 beside other programs: make bench-peers.
# Numbers hold for the machine that is printed with them.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
# One profile and one selection of packages: what the tests built is run.
machine
uptime
say "P1: one question through the pipeline (criterion, one thread)"
cargo bench --locked --profile dev --workspace --bench pipeline
say "P2, P3: open-loop load over HTTP on loopback"
cargo bench --locked --profile dev --workspace --bench latency
say "event log: events a second, acknowledged after sync"
cargo bench --locked --profile dev --workspace --bench accept
say "insights: 20,000 events folded, their state kept and read"
cargo bench --locked --profile dev --workspace --bench fold
say "scans over vectors: f32 and int8 with exact rescore, one thread"
cargo bench --locked --profile dev --workspace --bench scan
say "P4: a step of a two-tower network, 100k users x 20k items"
cargo bench --locked --profile dev --workspace --bench two_tower_step
say "a training with one thread and with two"
cargo bench --locked --profile dev --workspace --bench threads
