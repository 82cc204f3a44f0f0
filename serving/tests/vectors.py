#!/usr/bin/env python3
"""Independent check of docs and tests/vectors.json: SipHash-2-4 and the bucket in plain Python.

python3 serving/tests/vectors.py          checks vectors.json
python3 serving/tests/vectors.py --write  writes it again
"""
import hashlib, json, pathlib, sys

M = (1 << 64) - 1


def rotl(x, b):
    return ((x << b) | (x >> (64 - b))) & M


def siphash24(key: bytes, data: bytes) -> int:
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & M; v[1] = rotl(v[1], 13) ^ v[0]; v[0] = rotl(v[0], 32)
            v[2] = (v[2] + v[3]) & M; v[3] = rotl(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & M; v[3] = rotl(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & M; v[1] = rotl(v[1], 17) ^ v[2]; v[2] = rotl(v[2], 32)

    end = len(data) - len(data) % 8
    for at in range(0, end, 8):
        m = int.from_bytes(data[at : at + 8], "little")
        v[3] ^= m; rounds(2); v[0] ^= m
    last = int.from_bytes(data[end:].ljust(7, b"\0") + bytes([len(data) & 0xFF]), "little")
    v[3] ^= last; rounds(2); v[0] ^= last
    v[2] ^= 0xFF; rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def bucket(salt: str, unit: str) -> int:
    return siphash24(hashlib.sha256(salt.encode()).digest()[:16], unit.encode()) % 10_000


# The reference vector of the SipHash paper, appendix A.
assert siphash24(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5

path = pathlib.Path(__file__).with_name("vectors.json")
cases = [("default/giftshop", unit) for unit in ["17850", "13047", "s-1", "", "a", "Zoë", "客户-42", "customer-0000000001", "x" * 256]]
cases += [("shop/m", unit) for unit in ["17850", "13047", "giftshop-v2", "giftshop-v3"]]
cases += [("default/giftshop#holiday-test", unit) for unit in ["17850", "13047"]]
found = {"buckets": [{"salt": s, "unit": u, "bucket": bucket(s, u)} for s, u in cases], "candidateRanges": []}
for salt, name, count in [("default/giftshop", "giftshop-v2", 500), ("default/giftshop", "giftshop-v3", 2500), ("shop/m", "m-v7", 9000)]:
    start = bucket(salt, name)
    end = start + count
    ranges = [[start, end]] if end <= 10_000 else [[0, end - 10_000], [start, 10_000]]
    found["candidateRanges"].append({"salt": salt, "candidate": name, "buckets": count, "ranges": ranges})
if "--write" in sys.argv:
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
assert json.loads(path.read_text()) == found, "vectors.json differs"
print(f"{len(cases)} buckets and {len(found['candidateRanges'])} ranges agree")
