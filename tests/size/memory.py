"""`python3 -m tests.size.memory [LINES]`: ten million order lines are prepared and learned from within 2 GiB.

Both programs run in a memory cgroup of their own, as a container with that limit would; what they print goes to files that are named. The
exit code is 0 when both ended in good order within the limit. SIZE_ARCHITECTURE (Hybrid) and SIZE_LIMIT_MIB (2048) say otherwise."""
import os
import shutil
import sys

from cluster.settings import programs

from . import limited, shop

# What a generated gift shop holds: lines a customer in a year.
LINES_A_CUSTOMER = 119
PRODUCTS, DAYS = 5_000, 365


def told(name, ended, log, limit):
    print(f"{name:<28} {ended.seconds:8.1f} s  {ended.processor_seconds:8.1f} s of processors  {ended.resident_mib:7.0f} MiB at most of {limit}", flush=True)
    if ended.code != 0:
        why = "memory ran out" if ended.out_of_memory else f"exit code {ended.code}"
        print(f"!! {name}: {why}; what it printed: {log}", flush=True)
    return ended.code == 0


def main(wanted):
    limit = int(os.environ.get("SIZE_LIMIT_MIB", 2048))
    architecture = os.environ.get("SIZE_ARCHITECTURE", "Hybrid")
    data = shop.generated(-(-wanted // LINES_A_CUSTOMER), PRODUCTS, DAYS)
    lines = shop.rows(data, "order_lines")
    print(f"{lines:,} order lines of {shop.rows(data, 'orders'):,} orders, {shop.rows(data, 'customers'):,} customers and "
          f"{shop.rows(data, 'products'):,} products in {data}", flush=True)
    if lines < wanted:
        print(f"!! that is fewer than {wanted:,}")
        return 1
    out = data.with_name(f"{data.name}-made")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    log = out / "prepare.log"
    ended = limited.run([programs() / "endcap-data", "prepare", "--layout", "Canonical", "--data", data, "--out", out / "prepared"], log, limit)
    passed = told("prepare", ended, log, limit)
    if passed:
        log = out / "train.log"
        command = [programs() / "endcap-trainer", "--data", out / "prepared", "--out", out / "artifact", "--work", out / "work",
                   "--architecture", architecture, "--model", "size"]
        ended = limited.run(command, log, limit)
        passed = told(f"train {architecture}", ended, log, limit)
    if passed:
        for phase in shop.phases(out / "artifact"):
            print(f"  {phase['phase']:<26} {phase['seconds']:8.1f} s  {'':>27}{phase['peak_resident_bytes'] / limited.MIB:7.0f} MiB so far")
        shutil.rmtree(out)
    return 0 if passed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000))
    except limited.NoCgroup as error:
        sys.exit(f"!! NOT RUN: {error}")
