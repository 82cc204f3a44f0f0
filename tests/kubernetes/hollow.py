"""Pods that nobody runs: what a kubelet would report of them, and routers that take tables. For many models on a cluster without a node.

Each pod gets an address of its own on this machine (`ip route add local`), so that the operator reaches routers as it does in a cluster.
`python3 -m tests.kubernetes.hollow` listens for routers and insights; addresses come on standard input, one a line with its component."""
import asyncio
import base64
import datetime
import json
import resource
import subprocess
import sys

NETWORK = "10.98.0.0/16"
PORTS = {"router": (8081,), "insights": (8080, 8081)}


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def address(number):
    return f"10.98.{number // 250}.{number % 250 + 1}"


def route(is_there):
    """Makes the whole network this machine's own, or takes it away; other networks stay as they are."""
    done = subprocess.run(["ip", "route", "add" if is_there else "del", "local", NETWORK, "dev", "lo"], capture_output=True, text=True, check=False)
    if is_there and done.returncode != 0 and "File exists" not in done.stderr:
        raise AssertionError(f"failed to make {NETWORK} local: {done.stderr.strip()}; hollow pods need root and iproute2")


def status(pod, number, now):
    """The status of a pod that runs and is ready."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")]
    state = {"running": {"startedAt": now}}
    containers = [{"name": name, "ready": True, "started": True, "restartCount": 0, "state": state, "image": "hollow", "imageID": "hollow"} for name in names]
    return {"phase": "Running", "podIP": address(number), "podIPs": [{"ip": address(number)}], "startTime": now, "conditions": conditions, "containerStatuses": containers}


def report(envelope):
    """What a router says of the table that it took."""
    table = json.loads(base64.b64decode(envelope["payload"]))
    weights = []
    for arm in table["arms"]:
        buckets = sum(to - since for since, to in arm["ranges"])
        weights.append({"arm": arm["name"], "version": arm["version"], "experiment": None, "buckets": buckets})
    named = sum(one["buckets"] for one in weights)
    for one in weights:
        if one["arm"] == "active":
            one["buckets"] += 10_000 - named
    return {"revision": table["revision"], "hash": envelope["sha256"], "weights": weights}


class Tables:
    """By address: the table that was sent there last."""

    def __init__(self):
        self.by_address, self.requests = {}, 0

    async def serve(self, reader, writer):
        place = writer.get_extra_info("sockname")[0]
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                code, answer = self.answer(place, *head.split(" ", 2)[:2], body)
                text = json.dumps(answer).encode()
                writer.write(f"HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, place, method, path, body):
        self.requests += 1
        if path.startswith("/control/counters"):
            return 200, {"start_id": place, "arms": []}
        if not path.startswith("/control/table"):
            return 404, {}
        if method == "PUT":
            self.by_address[place] = report(json.loads(body))
        found = self.by_address.get(place)
        return (200, found) if found else (404, {})


async def listen():
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
    tables = Tables()
    # A listener a pod, not one for all addresses: the machine's own stay closed.
    count = 0
    for line in sys.stdin:
        if line.strip() == "end":
            break
        where, component = line.split()
        for port in PORTS.get(component, ()):
            await asyncio.start_server(tables.serve, where, port, backlog=16)
            count += 1
    print(json.dumps({"listeners": count}), flush=True)
    # Ends with the test that started it.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(listen())
