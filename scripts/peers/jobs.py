"""The jobs of methods/benches/peers.rs done by what a user would otherwise take: implicit, SciPy, NumPy, PyTorch. One job and one side a
process, which prints one JSON line with the milliseconds of each round but the first.

    jobs.py JOB SIDE    with FILE, OUT, REPEATS, ITERATIONS, KEEP, STEPS, ITEMS and THREADS as in peers.rs
"""

import json
import os
import sys
import time

import numpy as np


def number(name, default):
    return int(os.environ.get(name) or default)


THREADS, REPEATS = number("THREADS", 2), number("REPEATS", 1)


def read():
    """The pairs of the file, each once, as a sparse matrix of users x items."""
    from scipy.sparse import csr_matrix

    words = np.fromfile(os.environ["FILE"], dtype="<u4")
    users, items, pairs = (int(word) for word in words[:3])
    pair = words[3 : 3 + 2 * pairs].reshape(-1, 2)
    matrix = csr_matrix((np.ones(pairs, np.float32), (pair[:, 0], pair[:, 1])), shape=(users, items))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def save(values, kind):
    if os.environ.get("OUT"):
        np.asarray(values, dtype=kind).tofile(os.environ["OUT"])


def timed(work, steps=1):
    """Milliseconds a step of each round but the first, on the clock and on the cores, and what the last round gave."""
    took, cores = [], []
    for _ in range(REPEATS + 1):
        started, before = time.perf_counter(), time.process_time()
        result = work()
        took.append((time.perf_counter() - started) * 1e3 / steps)
        cores.append((time.process_time() - before) * 1e3 / steps)
    return {"ms": took[1:], "cpu_ms": cores[1:]}, result


def knn(side):
    from implicit.nearest_neighbours import CosineRecommender

    matrix = read()
    keep = number("KEEP", 100)

    def work():
        # Its list holds the item itself.
        model = CosineRecommender(K=keep + 1, num_threads=THREADS)
        model.fit(matrix, show_progress=False)
        return model

    took, model = timed(work)
    near = model.similarity.tocsr()
    cosines = np.zeros((matrix.shape[1], keep), np.float32)
    for item in range(matrix.shape[1]):
        begin, end = near.indptr[item], near.indptr[item + 1]
        others = near.data[begin:end][near.indices[begin:end] != item]
        own = np.sort(others)[::-1][:keep]
        cosines[item, : len(own)] = own
    save(cosines, "<f4")
    return took


def als(side):
    """Milliseconds of each iteration but the first."""
    from implicit.cpu.als import AlternatingLeastSquares

    matrix = read() * 41.0
    iterations = number("ITERATIONS", 6)
    took, cores, before = [], [], time.process_time()

    def done(_, seconds, *rest):
        nonlocal before
        now = time.process_time()
        took.append(seconds * 1e3)
        cores.append((now - before) * 1e3)
        before = now

    model = AlternatingLeastSquares(
        factors=64, regularization=0.1, alpha=1.0, iterations=iterations, use_native=True, use_cg=side == "implicit-cg",
        num_threads=THREADS, random_state=1, calculate_training_loss=False)
    model.fit(matrix, show_progress=False, callback=done)
    save(np.concatenate([model.user_factors, model.item_factors]), "<f4")
    return {"ms": took[1:], "cpu_ms": cores[1:]}


def ease(side):
    """From the counts to the weights, without the counting."""
    matrix = read()
    counts = np.ascontiguousarray((matrix.T @ matrix).toarray(), dtype=np.float32)
    counts[np.diag_indices_from(counts)] += 500.0

    def by_cholesky():
        from scipy.linalg.lapack import spotrf, spotri

        factor, wrong = spotrf(counts.T, lower=1, clean=0, overwrite_a=0)
        assert wrong == 0
        inverse, wrong = spotri(factor, lower=1, overwrite_c=1)
        assert wrong == 0
        return weights(inverse, is_lower=True)

    def by_inverse():
        return weights(np.linalg.inv(counts), is_lower=False)

    def weights(inverse, is_lower):
        if is_lower:
            inverse = np.tril(inverse)
            inverse += np.tril(inverse, -1).T
        result = inverse / -np.diag(inverse)
        np.fill_diagonal(result, 0)
        return result

    took, found = timed(by_cholesky if side == "scipy-cholesky" else by_inverse)
    save(np.ascontiguousarray(found), "<f4")
    return took


def transformer(side):
    """The same network as methods/src/transformer: norms before the branches, the items' vectors in and out, softmax over all items or,
    with NEGATIVES, over the targets and so many drawn ones, with sparse gradients of the items as PyTorch has them."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.set_num_threads(THREADS)
    torch.manual_seed(7)
    items, batch, length, dim, inner, steps = number("ITEMS", 3417), 128, 50, 64, 256, number("STEPS", 4)
    negatives = number("NEGATIVES", 0)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
            self.qkv, self.leave = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.up, self.down = nn.Linear(dim, inner), nn.Linear(inner, dim)

        def forward(self, x):
            q, k, v = self.qkv(self.first(x)).view(batch, length, 3, 2, dim // 2).permute(2, 0, 3, 1, 4)
            context = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, dim)
            x = x + F.dropout(self.leave(context), 0.2)
            hidden = F.dropout(F.relu(self.up(self.second(x))), 0.2)
            return x + F.dropout(self.down(hidden), 0.2)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.items, self.places = nn.Embedding(items, dim, sparse=negatives > 0), nn.Embedding(length, dim)
            nn.init.uniform_(self.items.weight, -0.2, 0.2)
            nn.init.uniform_(self.places.weight, -0.02, 0.02)
            self.blocks, self.norm = nn.Sequential(Block(), Block()), nn.LayerNorm(dim, eps=1e-6)
            self.bias = nn.Embedding(items, 1, sparse=True) if negatives else nn.Parameter(torch.zeros(items))

        def hidden(self, sequences):
            x = F.dropout(self.items(sequences) + self.places.weight, 0.2)
            return self.norm(self.blocks(x))

        def forward(self, sequences):
            return F.linear(self.hidden(sequences), self.items.weight, self.bias)

        def sampled(self, sequences, drawn, correction):
            return F.linear(self.hidden(sequences), self.items(drawn), self.bias(drawn).squeeze(1) + correction)

    network = Network()
    ends = [network.items.weight, network.bias.weight] if negatives else []
    rest = [one for one in network.parameters() if all(one is not end for end in ends)]
    steppers = [torch.optim.Adam(rest, lr=1e-3, betas=(0.9, 0.99), fused=True)]
    if negatives:
        steppers.append(torch.optim.SparseAdam(ends, lr=1e-3, betas=(0.9, 0.99)))
    sequences = (torch.rand(steps, batch, length + 1, dtype=torch.float64) ** 2 * items).long()

    chances = (torch.bincount(sequences.flatten(), minlength=items) + 1.0).pow(0.75)
    chances /= chances.sum()

    def logits_and_targets(one):
        if not negatives:
            return network(one[:, :-1]).reshape(-1, items), one[:, 1:].reshape(-1)
        drawn = torch.unique(torch.cat([one.flatten(), torch.multinomial(chances, negatives, replacement=True)]))
        correction = -torch.log(-torch.expm1(-chances[drawn] * negatives))
        logits = network.sampled(one[:, :-1], drawn, correction)
        return logits.reshape(-1, len(drawn)), torch.searchsorted(drawn, one[:, 1:].reshape(-1))

    def epoch():
        total = 0.0
        for one in sequences:
            for stepper in steppers:
                stepper.zero_grad(set_to_none=True)
            logits, targets = logits_and_targets(one)
            loss = F.cross_entropy(logits, targets)
            loss.backward()
            for stepper in steppers:
                stepper.step()
            total += loss.item()
        return total / steps

    took, loss = timed(epoch, steps)
    return {**took, "loss": loss}


def peak_mb():
    with open("/proc/self/status", encoding="ascii") as status:
        return round(next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")))


if __name__ == "__main__":
    job, side = sys.argv[1:3]
    found = {"knn": knn, "als": als, "ease": ease, "transformer": transformer, "transformer-sampled": transformer}[job](side)
    print(json.dumps({**found, "job": job, "side": side, "threads": THREADS, "peak_mb": peak_mb()}), flush=True)
