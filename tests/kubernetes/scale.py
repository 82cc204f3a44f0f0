"""`python3 -m tests.kubernetes.scale [MODELS] [VERSIONS]`: how the operator does with many models (1,000 with 20,000 versions in 100 namespaces).

A real API server and controller manager, no node: pods are hollow (see hollow.py), so that models settle as they would where pods run. It
needs a cluster of its own and ends it; SCALE_KEEP=1 leaves it, and the next run goes on with what is there. Figures are printed, beside
what they shall be; the exit code tells only whether what must never be was (writes without a cause, lists, models that do not settle).
Processor time is counted beside the clock: on a busy machine only that can be compared."""
import concurrent.futures
import hashlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

from cluster.settings import programs

from . import hollow
from .harness import GROUP, ROOT, Operator, World, model, run
from .hollow import now

AT_ONCE = 8
NAMESPACES = 100
# Below what the API server of two cores takes beside all else.
CHANGES, CHANGES_A_SECOND = 300, 5
# Says that the cluster has all of them.
FILLED = "scale-filled"
OWNED = "labelSelector=app.kubernetes.io/managed-by%3Dendcap"
GOALS = {"cold start": 60, "resident": 256, "idle": 1, "p99": 200, "rate": 200, "fresh": 2}


class Lane:
    """One connection that stays open: a handshake a request would be most of the work."""

    def __init__(self, api):
        self.api, self.connection = api, None

    def call(self, method, path, body=None, kind="application/json"):
        data = json.dumps(body).encode() if body is not None else None
        for attempt in range(3):
            if self.connection is None:
                host = self.api.server.split("//")[1]
                self.connection = http.client.HTTPSConnection(host, context=self.api.context, timeout=60)
            try:
                self.connection.request(method, path, body=data, headers={"Content-Type": kind})
                answer = self.connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException):
                self.connection = None
                if attempt == 2:
                    raise
        if answer.status == 429:
            time.sleep(0.2)
            return self.call(method, path, body, kind)
        value = json.loads(text)
        if answer.status not in (200, 201):
            raise AssertionError(f"{method} {path}: {answer.status} {value.get('message')}")
        return value

    def merge(self, path, body):
        return self.call("PATCH", path, body, "application/merge-patch+json")

    def all(self, path, page=500):
        """The items of a list, page by page."""
        going = ""
        while True:
            mark = "&" if "?" in path else "?"
            found = self.call("GET", f"{path}{mark}limit={page}{going}")
            yield from found["items"]
            going = found["metadata"].get("continue")
            if not going:
                return
            going = f"&continue={going}"


class Crowd:
    """Eight at once, each with a lane of its own."""

    def __init__(self, api):
        self.local, self.api = threading.local(), api
        self.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)

    def lane(self):
        if not hasattr(self.local, "lane"):
            self.local.lane = Lane(self.api)
        return self.local.lane

    def each(self, what, items, do):
        """Does it for each item; says how far it is. Returns what was answered, and the seconds."""
        began = last = time.monotonic()
        items, answers = list(items), []
        for answer in self.pool.map(lambda item: do(self.lane(), item), items):
            answers.append(answer)
            if time.monotonic() - last > 10:
                last = time.monotonic()
                print(f"   {what}: {len(answers)} of {len(items)}", flush=True)
        return answers, time.monotonic() - began


METRICS = [(f"{name}@{at}", split) for split in ("validation", "test", "cold") for name in ("ndcg", "recall", "precision", "map", "mrr") for at in (10, 20)]


def version_of(owner, number):
    """A version as the operator would have made it, and the status of its finished training."""
    name, namespace, uid = owner["metadata"]["name"], owner["metadata"]["namespace"], owner["metadata"]["uid"]
    own = f"{name}-v{number}"
    digest = hashlib.sha256(f"{namespace}/{own}".encode()).hexdigest()
    meta = {"name": own, "namespace": namespace, "labels": {"endcap.dev/model": name, "endcap.dev/version": own, "endcap.dev/trigger": "Schedule"},
            "ownerReferences": [{"apiVersion": "endcap.dev/v1alpha1", "kind": "RecommenderModel", "name": name, "uid": uid, "controller": True, "blockOwnerDeletion": True}]}
    spec = {"modelRef": {"name": name}, "modelUID": uid, "version": number, "source": "Trained", "trigger": {"type": "Schedule", "reason": "the schedule was due at 2026-01-01T03:00:00Z"},
            "architecture": "Rules", "seed": 42, "trainingImage": "localhost/endcap:test", "servingImage": "localhost/endcap:test",
            "dataRef": {"uri": "s3://bucket/data", "window": "8760h"}}
    if number > 1:
        spec["parentVersion"] = f"{name}-v{number - 1}"
    metrics = [{"name": metric, "value": f"0.{int(digest[:8], 16) % 900_000 + 100_000}", "split": split} for metric, split in METRICS]
    status = {"observedGeneration": 1, "phase": "Ready", "metrics": metrics,
              "artifact": {"uri": f"s3://bucket/models/{namespace}/{name}/{own}/0", "sha256": digest, "manifestSha256": digest, "sizeBytes": 48_211_904, "formatVersion": 1},
              "dataset": {"manifestSha256": digest, "rows": 1_204_112, "minTime": "2025-01-01T00:00:00Z", "maxTime": "2026-01-01T00:00:00Z"},
              "job": {"name": own, "attempts": 1, "startedAt": "2026-01-01T03:00:00Z", "finishedAt": "2026-01-01T03:11:00Z"}}
    value = {"apiVersion": "endcap.dev/v1alpha1", "kind": "ModelVersion", "metadata": meta, "spec": spec}
    return value, status


def fill(world, crowd, models, versions):
    each = versions // models
    print(f"   filling: {NAMESPACES} namespaces, {models} models, {versions} versions", flush=True)
    began = time.monotonic()
    crowd.each("namespaces", range(NAMESPACES), lambda lane, at: lane.call("POST", "/api/v1/namespaces", {"metadata": {"name": f"scale-{at:03}"}}))
    wanted = [model(f"scale-{at % NAMESPACES:03}", f"feed-{at // NAMESPACES}", artifacts={"uri": "s3://bucket/models", "retention": {"keepLast": 100}}) for at in range(models)]
    path = lambda value, kind: f"{GROUP}/namespaces/{value['metadata']['namespace']}/{kind}"

    def whole(lane, value):
        made = lane.call("POST", path(value, "recommendermodels"), value)
        for number in range(1, each + 1):
            version, status = version_of(made, number)
            lane.call("POST", path(value, "modelversions"), version)
            lane.merge(f"{path(value, 'modelversions')}/{version['metadata']['name']}/status", {"status": status})
        active = f"{made['metadata']['name']}-v{each}"
        lane.merge(f"{path(value, 'recommendermodels')}/{made['metadata']['name']}/status", {"status": {
            "phase": "Serving", "activeVersion": active, "latestVersion": active, "versionHighWater": each,
            "history": [{"version": active, "outcome": "Promoted", "by": "policy", "time": now()}]}})
        return len(json.dumps(version)) + len(json.dumps(status))

    sizes, _ = crowd.each("models with their versions", wanted, whole)
    requests = NAMESPACES + models * (2 + 2 * each)
    world.create("/api/v1/namespaces", {"metadata": {"name": FILLED}})
    took = time.monotonic() - began
    print(f"   filled in {took:.0f} s: {requests / took:.0f} requests/s; a version is {sizes[0] / 1024:.1f} KiB of JSON before the server's fields", flush=True)


class Watched:
    """An operator's own figures, and what the kernel says of it."""

    SAMPLE = re.compile(r'^(endcap_operator_\w+?)(?:\{(.*)\})? ([0-9.eE+-]+)$')

    def __init__(self, operator):
        self.operator = operator
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def look(self):
        with self.opener.open(self.operator.metrics_url, timeout=30) as answer:
            text = answer.read().decode()
        found = {"at": time.monotonic(), "requests": {}, "buckets": [], "looks": 0, "failed": 0, "known": 0, "serving": 0, "bytes": len(text)}
        for line in text.splitlines():
            if line.startswith("endcap_operator_model_condition"):
                if 'condition="Ready",status="True"' in line:
                    found["known"] += 1
                    found["serving"] += line.endswith(" 1")
                continue
            sample = self.SAMPLE.match(line)
            if not sample:
                continue
            name, labels, value = sample.group(1), sample.group(2) or "", float(sample.group(3)) if sample.group(3) else 0.0
            if name == "endcap_operator_reconcile_total":
                found["looks" if 'result="ok"' in labels else "failed"] += value
            elif name == "endcap_operator_api_requests_total":
                verb, kind = re.search(r'verb="(\w+)"', labels).group(1), re.search(r'kind="([^"]*)"', labels).group(1)
                found["requests"][(verb, kind)] = found["requests"].get((verb, kind), 0) + value
            elif name == "endcap_operator_reconcile_seconds_bucket":
                bound = re.search(r'le="([^"]+)"', labels).group(1)
                found["buckets"].append((float("inf") if bound == "+Inf" else float(bound), value))
        found["buckets"].sort()
        found["cpu"], found["machine"] = self.cpu(), machine()
        return found

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.operator.child.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident and highest so far, MiB."""
        lines = pathlib.Path(f"/proc/{self.operator.child.pid}/status").read_text(encoding="utf-8").splitlines()
        of = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return int(of["VmRSS"]) / 1024, int(of["VmHWM"]) / 1024

    def until(self, what, done, patience_s, every_s=0.5):
        end = last = time.monotonic()
        end += patience_s
        while True:
            found = self.look()
            if done(found):
                return found
            if self.operator.child.poll() is not None:
                raise AssertionError(f"the operator ended: {self.operator.log.read_text()[-2000:]}")
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {patience_s} s ({found['known']} models known, {found['serving']} serving, {writes(found)} writes)")
            if time.monotonic() - last > 15:
                last = time.monotonic()
                print(f"   {what}: {found['known']} models known, {found['serving']} serving, {writes(found):.0f} writes, {found['looks']:.0f} looks", flush=True)
            time.sleep(every_s)

    def quiet(self, patience_s, seconds=5):
        """Waits until nothing was written for a while; returns the look after the last write."""
        last = [self.look()]

        def done(found):
            if writes(found) != writes(last[0]):
                last[0] = found
            return found["at"] - last[0]["at"] > seconds
        self.until("until nothing is written any more", done, patience_s, 1)
        return last[0]


def writes(found):
    return sum(count for (verb, kind), count in found["requests"].items() if verb in ("create", "update", "patch", "delete") and kind not in ("events", "leases"))


def machine():
    """Busy and all processor seconds of the machine."""
    fields = [int(one) for one in pathlib.Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK"), sum(fields) / os.sysconf("SC_CLK_TCK")


def p99(before, after):
    """Milliseconds, interpolated in the histogram's bucket; and the share of looks above the goal's bucket."""
    earlier = dict(before["buckets"]) if before else {}
    counts = [(bound, count - earlier.get(bound, 0)) for bound, count in after["buckets"]]
    total = counts[-1][1] if counts else 0
    if not total:
        return 0.0
    lower, below = 0.0, 0.0
    for bound, count in counts:
        if count >= 0.99 * total:
            upper = bound if bound != float("inf") else lower * 2
            return 1000 * (lower + (upper - lower) * (0.99 * total - below) / max(count - below, 1))
        lower, below = bound, count
    return 1000 * lower


def between(before, after):
    """Processor seconds of the operator and of all others, as cores."""
    seconds = max(after["at"] - before["at"], 0.001)
    own = after["cpu"] - before["cpu"]
    others = after["machine"][0] - before["machine"][0] - own
    return f"operator {own:.1f} CPU s ({own / seconds:.2f} cores), everything else {others / seconds:.2f} of {os.cpu_count()} cores"


def requests_between(before, after):
    grown = {key: count - before["requests"].get(key, 0) for key, count in after["requests"].items()}
    return {f"{verb} {kind}": int(count) for (verb, kind), count in sorted(grown.items()) if count > 0}


class Scale:
    def __init__(self, models, versions):
        self.models, self.versions = models, versions
        self.rows, self.wrong = [], []
        self.world = World()
        self.world.install()
        self.crowd = Crowd(self.world.api)
        self.lane = Lane(self.world.api)
        self.hollow = None

    def row(self, what, value, unit, goal=None, at_least=False):
        if goal is None:
            met = ""
        else:
            met = "met" if (value >= goal if at_least else value <= goal) else "MISSED"
        shown = f"{value:.2f}" if value < 10 else f"{value:.0f}"
        self.rows.append(f"   {what:<58} {shown:>9} {unit:<12} {'' if goal is None else f'goal {chr(0x2265) if at_least else chr(0x2264)} {goal} {unit}: {met}'}")
        print(self.rows[-1], flush=True)

    def start(self):
        operator = Operator(self.world)
        began = time.monotonic()
        filled = operator.ready()
        return Watched(operator), began, filled

    def first_start(self):
        """Everything has to be made: statuses of versions, children of models."""
        watched, began, filled = self.start()
        print(f"   watches filled after {filled:.1f} s", flush=True)
        found = watched.until("the first start", lambda found: found["known"] >= self.models, 900, 1)
        self.row("first start: every model reconciled", found["at"] - began, "s")
        last = watched.quiet(900)
        self.row("first start: nothing left to write", last["at"] - began, "s")
        deployments = sum(1 for _ in self.lane.all(f"/apis/apps/v1/deployments?{OWNED}"))
        print(f"   {writes(last):.0f} writes ({writes(last) / (last['at'] - began):.0f}/s), {deployments} Deployments; {last['cpu']:.0f} CPU s of the operator", flush=True)
        print(f"   {requests_between({'requests': {}}, last)}", flush=True)
        if deployments != 2 * self.models:
            self.wrong.append(f"{deployments} Deployments, not {2 * self.models}")
        before = watched.look()
        time.sleep(20)
        after = watched.look()
        print(f"   no pod runs: {(after['looks'] - before['looks']) / 20:.1f} looks/s; {between(before, after)}", flush=True)
        return watched

    def pods_come(self, watched):
        """What kubelets would say of the pods, and routers that answer."""
        print("   the controller manager's pods, hollow", flush=True)
        wanted = sum(one["spec"].get("replicas", 1) for kind in ("deployments", "statefulsets") for one in self.lane.all(f"/apis/apps/v1/{kind}?{OWNED}"))
        self.world.until("the controller manager has made the pods", lambda: len(self.pods()) >= wanted, 600)
        pods = self.pods()
        hollow.route(True)
        self.hollow = subprocess.Popen([sys.executable, "-m", "tests.kubernetes.hollow"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for at, pod in enumerate(pods):
            self.hollow.stdin.write(f"{hollow.address(at)} {pod['metadata']['labels']['app.kubernetes.io/component']}\n")
        self.hollow.stdin.write("end\n")
        self.hollow.stdin.flush()
        print(f"   {len(pods)} pods; {self.hollow.stdout.readline().strip()}", flush=True)
        began = time.monotonic()
        self.crowd.each("statuses of pods", list(enumerate(pods)), lambda lane, one: lane.merge(
            f"/api/v1/namespaces/{one[1]['metadata']['namespace']}/pods/{one[1]['metadata']['name']}/status", {"status": hollow.status(one[1], one[0], now())}))
        reported = time.monotonic() - began
        found = watched.until("models serve", lambda found: found["serving"] >= self.models, 600, 1)
        self.row("all pods reported, until every model is Ready", found["at"] - began, "s")
        print(f"   (reporting them took {reported:.0f} s of that)", flush=True)
        watched.quiet(300)

    def pods(self):
        return sorted(self.lane.all(f"/api/v1/pods?{OWNED}"), key=lambda pod: (pod["metadata"]["namespace"], pod["metadata"]["name"]))

    def restart(self):
        watched, began, filled = self.start()
        print(f"   watches filled after {filled:.1f} s", flush=True)
        found = watched.until("the restart", lambda found: found["known"] >= self.models, 300)
        self.row("cold start: every model reconciled", found["at"] - began, "s", GOALS["cold start"])
        print(f"   {found['looks']:.0f} looks; {found['cpu']:.1f} CPU s of the operator", flush=True)
        last = watched.quiet(300)
        self.row("cold start: until quiet", max(last["at"], found["at"]) - began, "s", GOALS["cold start"])
        self.row("cold start: writes", writes(last), "")
        if writes(last):
            self.wrong.append(f"a restart wrote: {requests_between({'requests': {}}, last)}")
        self.row("looks: p99 of the cold start", p99(None, last), "ms", GOALS["p99"])
        resident, highest = watched.memory()
        self.row("resident after the cold start", resident, "MiB", GOALS["resident"])
        self.row("resident, highest so far", highest, "MiB")
        return watched

    def idle(self, watched, seconds=60):
        time.sleep(35)  # What a start puts off has been.
        before = watched.look()
        time.sleep(seconds)
        after = watched.look()
        grown = requests_between(before, after)
        beside = sum(count for what, count in grown.items() if not what.startswith("watch "))
        self.row("idle: requests beside watches", beside / seconds, "/s", GOALS["idle"])
        lists = sum(count for what, count in grown.items() if what.startswith("list "))
        if lists or writes(after) != writes(before):
            self.wrong.append(f"idle, and yet: {grown}")
        print(f"   idle: {grown}; {(after['looks'] - before['looks']) / seconds:.1f} looks/s; {between(before, after)}; metrics are {after['bytes'] / 1024:.0f} KiB", flush=True)
        self.row("idle: resident", watched.memory()[0], "MiB", GOALS["resident"])
        self.row("idle: cores of the operator", (after["cpu"] - before["cpu"]) / (after["at"] - before["at"]), "")

    def paths(self):
        return [(f"scale-{at % NAMESPACES:03}", f"feed-{at // NAMESPACES}") for at in range(self.models)]

    def touch(self, watched):
        """All models are touched while the operator is stopped; then it has a backlog and nothing to wait for."""
        before = watched.look()
        os.kill(watched.operator.child.pid, signal.SIGSTOP)
        try:
            _, took = self.crowd.each("touching", self.paths(), lambda lane, one: lane.merge(
                f"{GROUP}/namespaces/{one[0]}/recommendermodels/{one[1]}", {"metadata": {"annotations": {"touched": str(time.time())}}}))
        finally:
            os.kill(watched.operator.child.pid, signal.SIGCONT)
        began, cpu = time.monotonic(), watched.cpu()
        after = watched.until("looks at what was touched", lambda found: found["looks"] - before["looks"] >= self.models, 120, 0.2)
        looks, seconds, own = after["looks"] - before["looks"], after["at"] - began, after["cpu"] - cpu
        print(f"   {self.models} touched in {took:.1f} s; then {looks:.0f} looks in {seconds:.1f} s; {requests_between(before, after)}", flush=True)
        self.row("looks at touched models", looks / seconds, "/s", GOALS["rate"], at_least=True)
        self.row("looks at touched models, a CPU second", looks / max(own, 0.01), "", GOALS["rate"] / 2, at_least=True)
        self.row("looks: p99 of these", p99(before, after), "ms", GOALS["p99"])

    def change(self, watched):
        """Specs change, so many a second: how long until their statuses say so."""
        paths = self.paths()[:CHANGES]
        path = f"{GROUP}/recommendermodels"
        listed = self.lane.call("GET", path)
        version = listed["metadata"]["resourceVersion"]
        generations = {(one["metadata"]["namespace"], one["metadata"]["name"]): one["metadata"]["generation"] for one in listed["items"]}
        suspend = not listed["items"][0]["spec"]["training"].get("suspend", False)
        changed, seen, done = {}, {}, threading.Event()

        def follow():
            lane = Lane(self.world.api)
            lane.connection = http.client.HTTPSConnection(self.world.api.server.split("//")[1], context=self.world.api.context, timeout=300)
            lane.connection.request("GET", f"{path}?watch=true&resourceVersion={version}&timeoutSeconds=240")
            for line in lane.connection.getresponse():
                found = json.loads(line)["object"]
                one = (found["metadata"]["namespace"], found["metadata"]["name"])
                if found.get("status", {}).get("observedGeneration", 0) > generations.get(one, 0):
                    seen.setdefault(one, time.monotonic())
                    if len(seen) == len(paths):
                        done.set()
                        return
        follower = threading.Thread(target=follow, daemon=True)
        follower.start()

        began = time.monotonic()

        def change(lane, numbered):
            at, one = numbered
            time.sleep(max(0, began + at / CHANGES_A_SECOND - time.monotonic()))
            changed[one] = time.monotonic()
            lane.merge(f"{GROUP}/namespaces/{one[0]}/recommendermodels/{one[1]}", {"spec": {"training": {"suspend": suspend}}})
        before = watched.look()
        _, took = self.crowd.each("changing", enumerate(paths), change)
        if not done.wait(180):
            self.wrong.append(f"only {len(seen)} of {len(paths)} statuses followed their spec")
        after = watched.look()
        waits = sorted(seen[one] - changed[one] for one in seen)
        print(f"   {len(paths)} specs changed in {took:.1f} s; {between(before, after)}", flush=True)
        self.row("a spec changes, until its status says so: median", waits[len(waits) // 2], "s")
        self.row("a spec changes, until its status says so: p99", waits[int(len(waits) * 0.99) - 1], "s", GOALS["fresh"])
        self.row("looks: p99 of these", p99(before, after), "ms", GOALS["p99"])
        resident, highest = watched.memory()
        self.row("resident at the end", resident, "MiB", GOALS["resident"])
        self.row("resident, highest", highest, "MiB")

    def close(self):
        if self.hollow:
            self.hollow.stdin.close()
            self.hollow.wait()
        hollow.route(False)


def main(words):
    models = int(words[0]) if words else 1000
    versions = int(words[1]) if len(words) > 1 else models * 20
    keeps = os.environ.get("SCALE_KEEP") == "1"
    if not keeps and run("python3", "-m", "cluster", "status", check=False).returncode == 0:
        print("a cluster is up, and this test needs one of its own: end it with `make cluster-down`, or set SCALE_KEEP=1 to go on with what is in it", file=sys.stderr)
        return 2
    print(f"   {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {programs() / 'endcap-operator'}", flush=True)
    scale = watched = None
    # Ended from outside, it still tidies up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        scale = Scale(models, versions)
        if not scale.world.api.get(f"/api/v1/namespaces/{FILLED}"):
            fill(scale.world, scale.crowd, models, versions)
        watched = scale.first_start()
        scale.pods_come(watched)
        watched.operator.stop()
        watched = scale.restart()
        scale.idle(watched)
        scale.touch(watched)
        scale.change(watched)
    finally:
        if watched:
            watched.operator.stop()
        if scale:
            scale.close()
        if not keeps:
            run("python3", "-m", "cluster", "down", check=False)
    print(f"\nscale: {models} models, {versions} versions, {NAMESPACES} namespaces, load {os.getloadavg()[0]:.1f} at the end")
    print("\n".join(scale.rows))
    for wrong in scale.wrong:
        print(f"!! {wrong}")
    return 1 if scale.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
