"""The step of kernels/benches/two_tower_step.rs with PyTorch on the CPU: one JSON line for each of its best variants.

USERS, ITEMS, DIM, BATCH, STEPS (a round), ROUNDS and THREADS choose another shape; VARIANTS=sparse,fused,dense which to run.
"""

import json
import os
import statistics
import time

import torch
import torch.nn.functional as F


def number(name, default):
    return int(os.environ.get(name, default))


USERS, ITEMS, DIM = number("USERS", 100_000), number("ITEMS", 20_000), number("DIM", 64)
BATCH, STEPS, ROUNDS = number("BATCH", 4096), number("STEPS", 10), number("ROUNDS", 5)
THREADS = number("THREADS", 2)


def tables(sparse):
    made = []
    for rows in (USERS, ITEMS):
        table = torch.nn.Embedding(rows, DIM, sparse=sparse)
        torch.nn.init.uniform_(table.weight, -0.1, 0.1)
        made.append(table)
    return made


def optimizer(variant, parameters):
    if variant == "sparse":
        return torch.optim.SparseAdam(parameters, lr=1e-3)
    return torch.optim.Adam(parameters, lr=1e-3, fused=variant == "fused")


def run(variant):
    torch.manual_seed(7)
    users, items = tables(variant == "sparse")
    adam = optimizer(variant, [users.weight, items.weight])
    target = torch.arange(BATCH)
    took, loss = [], None
    for step in range(3 + STEPS * ROUNDS):
        drawn = torch.randint(0, USERS, (BATCH,))
        bought = (torch.rand(BATCH, dtype=torch.float64) ** 3 * ITEMS).long()
        started = time.perf_counter()
        adam.zero_grad(set_to_none=True)
        loss = F.cross_entropy(users(drawn) @ items(bought).T, target)
        loss.backward()
        adam.step()
        if step >= 3:
            took.append((time.perf_counter() - started) * 1e3)
    ms = statistics.median(took)
    return {
        "program": "torch " + torch.__version__,
        "variant": variant,
        "threads": torch.get_num_threads(),
        "users": USERS,
        "items": ITEMS,
        "dim": DIM,
        "batch": BATCH,
        "ms_per_step": round(ms, 2),
        "steps_per_second": round(1e3 / ms, 2),
        "loss": round(loss.item(), 4),
    }


def peak_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    for variant in os.environ.get("VARIANTS", "sparse,fused").split(","):
        line = run(variant)
        line["peak_mb"] = round(peak_mb())  # of the process: exact for the first variant
        print(json.dumps(line), flush=True)
