"""`python3 -m tests.size.growth`: time and memory of a training by number of customers and of products (P8).

One thing grows tenfold from row to row and the other stays. A phase that takes more than n log n would is marked, and ends this with exit code 1;
phases under a second say nothing. SIZE_CUSTOMERS and SIZE_PRODUCTS ("10000 100000 1000000") are what is trained on, SIZE_ARCHITECTURE
(Hybrid) how."""
import math
import os
import shutil
import sys

from cluster.settings import programs

from . import limited, shop

# What stays while the other grows, and how long the history is.
PRODUCTS, CUSTOMERS, DAYS = 2_000, 2_000, 90
# Above what n log n would take, before it counts: a run on shared processors is not exact.
SLACK = 1.3
# Shorter phases are mostly what does not grow.
LEAST_S = 1.0


def wanted(name, default):
    return [int(size) for size in os.environ.get(name, default).split()]


def trained(customers, products):
    """Sizes of what was learned from, seconds by phase, and the peak of memory."""
    data = shop.generated(customers, products, DAYS)
    out = data.with_name(f"{data.name}-made")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    log = out / "train.log"
    architecture = os.environ.get("SIZE_ARCHITECTURE", "Hybrid")
    command = [programs() / "endcap-trainer", "--data", data, "--out", out / "artifact", "--work", out / "work", "--architecture", architecture, "--model", "size"]
    ended = limited.run(command, log)
    if ended.code != 0:
        raise RuntimeError(f"failed to train on {data.name}: exit code {ended.code}, see {log}")
    phases = {phase["phase"]: phase["seconds"] for phase in shop.phases(out / "artifact")}
    phases["all"] = ended.seconds
    shutil.rmtree(out)
    return shop.rows(data, "order_lines"), phases, ended.resident_mib


def table(title, sizes, of):
    """Trains on each size; returns the phases that grow faster than they may."""
    print(f"\n{title}\n{'':>10} {'lines':>12} {'MiB':>7}  seconds by phase", flush=True)
    worse, before = [], None
    for size in sizes:
        customers, products = of(size)
        lines, phases, mib = trained(customers, products)
        said = []
        for name, seconds in phases.items():
            mark = ""
            if before and seconds > LEAST_S:
                # Whichever grew more, lines or the size itself, is the n.
                (n, m) = max((lines, before[0]), (size, before[1]), key=lambda pair: pair[0] / pair[1])
                may = before[2][name] * (n * math.log(n)) / (m * math.log(m))
                if seconds > SLACK * max(may, LEAST_S):
                    mark = "!"
                    worse.append(f"{title}, {size:,}: {name} took {seconds:.1f} s, n log n would take {may:.1f}")
            said.append(f"{name} {seconds:.1f}{mark}")
        print(f"{size:>10,} {lines:>12,} {mib:>7.0f}  {'  '.join(said)}", flush=True)
        before = (lines, size, phases)
    return worse


def main():
    worse = table(f"customers ({PRODUCTS:,} products, {DAYS} days)", wanted("SIZE_CUSTOMERS", "10000 100000 1000000"), lambda size: (size, PRODUCTS))
    worse += table(f"products ({CUSTOMERS:,} customers, {DAYS} days)", wanted("SIZE_PRODUCTS", "10000 100000 1000000"), lambda size: (CUSTOMERS, size))
    for line in worse:
        print(f"!! {line}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
