"""Runs our bench and its peers in turns and prints a table: ours, theirs, their time over ours, the goal, and whether both found the same.

    peers.py BENCH JOB...    BENCH is the program of methods/benches/peers.rs; ROUNDS=5, THREADS=2

Each side of each round is a process of its own; the data is written once, by ours, and read by both.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS, THREADS = int(os.environ.get("ROUNDS", 5)), os.environ.get("THREADS", "2")

# Job: shape of its data, its settings, and (side, goal: their time over ours at least).
JOBS = {
    "als": ({"USERS": 6040, "ITEMS": 3417, "PAIRS": 1_000_000}, {"ITERATIONS": 6},
            [("implicit-cholesky", 1.8), ("implicit-cg", 1.0)]),
    "knn": ({"USERS": 100_000, "ITEMS": 20_000, "PAIRS": 10_000_000}, {"KEEP": 100}, [("implicit", 3.0)]),
    "ease": ({"USERS": 100_000, "ITEMS": 5_000, "PAIRS": 2_000_000}, {}, [("scipy-cholesky", 1.0), ("numpy-inverse", 3.0)]),
    "transformer": (None, {"STEPS": 4}, [("torch", 1.3)]),
    "transformer-sampled": (None, {"STEPS": 4, "ITEMS": 100_000, "NEGATIVES": 4096}, [("torch", 1.0)]),
}


def run(command, settings):
    single = {"OMP_NUM_THREADS": THREADS, "MKL_NUM_THREADS": THREADS, "RAYON_NUM_THREADS": THREADS, "THREADS": THREADS}
    # implicit wants the other libraries' own threads out of its way.
    single["OPENBLAS_NUM_THREADS"] = "1" if "implicit" in command[-1] else THREADS
    settings = {key: str(value) for key, value in settings.items()}
    done = subprocess.run(command, env={**os.environ, **single, **settings}, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def same(job, ours, theirs, file):
    """In words, how near the results are."""
    if job.startswith("transformer"):
        return f"loss {ours['loss']:.3f} against {theirs['loss']:.3f} (each its own draws)"
    a, b = (np.fromfile(one["out"], "<f4") for one in (ours, theirs))
    if job == "als":
        return f"loss {als_loss(a, file):.4f} against {als_loss(b, file):.4f}"
    return f"greatest difference {np.abs(a - b).max():.1e}, greatest value {np.abs(b).max():.2f}"


def als_loss(factors, file):
    """What both minimise, over the number of pairs."""
    words = np.fromfile(file, "<u4")
    users, items, pairs = (int(word) for word in words[:3])
    pair = np.unique(words[3 : 3 + 2 * pairs].reshape(-1, 2), axis=0)
    factors = factors.reshape(users + items, -1).astype(np.float64)
    x, y = factors[:users], factors[users:]
    had = np.einsum("pd,pd->p", x[pair[:, 0]], y[pair[:, 1]])
    everywhere = np.sum((x.T @ x) * (y.T @ y))
    total = everywhere + np.sum(41.0 * (1 - had) ** 2 - had**2) + 0.1 * np.sum(factors**2)
    return total / len(pair)


def compare(bench, job, folder):
    shape, settings, peers = JOBS[job]
    settings = {**settings, "REPEATS": os.environ.get("REPEATS", 1)}
    if shape:
        settings["FILE"] = os.path.join(folder, job + ".pairs")
        run([bench], {**shape, **settings, "JOB": "data"})
    sides = [("endcap", None), *peers]
    runs = {side: [] for side, _ in sides}
    for number in range(ROUNDS):
        for side, _ in sides:
            own = dict(settings)
            if number == 0 and not job.startswith("transformer"):
                own["OUT"] = os.path.join(folder, f"{job}.{side}")
            command = [bench] if side == "endcap" else [sys.executable, os.path.join(HERE, "jobs.py"), job, side]
            found = run(command, {**own, "JOB": job})
            found["out"] = own.get("OUT")
            runs[side].append(found)
            print(json.dumps(found), file=sys.stderr, flush=True)
    median = lambda side, of="ms": statistics.median(ms for found in runs[side] for ms in found[of])
    peak = lambda side: statistics.median(found["peak_mb"] for found in runs[side])
    rows = []
    for side, goal in peers:
        ratios = sorted(statistics.median(b["ms"]) / statistics.median(a["ms"]) for a, b in zip(runs["endcap"], runs[side]))
        ratio = median(side) / median("endcap")
        cores = median(side, "cpu_ms") / median("endcap", "cpu_ms")
        rows.append(
            f"{job:<20} {side:<18} {median('endcap'):>10.1f} {median(side):>10.1f} {ratio:>6.2f} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f}) {cores:>6.2f} {goal:>5.1f} {'met' if ratio >= goal else 'MISSED':<7}"
            f"{peak('endcap'):>6.0f} {peak(side):>6.0f}  {same(job, runs['endcap'][0], runs[side][0], settings.get('FILE'))}")
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
    return rows


if __name__ == "__main__":
    bench, jobs = sys.argv[1], sys.argv[2:] or list(JOBS)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for job in jobs:
            rows += compare(bench, job, folder)
    print(f"{ROUNDS} rounds in turns, {THREADS} threads; milliseconds are medians, the ratio is theirs over ours with the rounds' range, and"
          "\nunder 'cores' that of processor time, which holds on a machine that others use as well")
    print(f"{'job':<20} {'peer':<18} {'our ms':>10} {'their ms':>10} {'ratio':>6} {'(rounds)':<14} {'cores':>6} {'goal':>5} {'':<7}"
          f"{'our MB':>6} {'their':>6}  found the same")
    print("\n".join(rows))
