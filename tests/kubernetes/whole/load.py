"""Load as an OMS makes it: so many questions a second whatever the answers, over kept connections, each asked once.

`python3 -m tests.kubernetes.whole.load URL` asks until its standard input ends, then prints what became of every question as JSON.
It is a process of its own, so that a busy test does not slow it down."""
import argparse
import collections
import http.client
import json
import random
import select
import subprocess
import sys
import threading
import time
import urllib.parse

from ..harness import ROOT

RATE = 100
# Each connection asks four times a second: none lies idle longer than a router takes to leave.
CONNECTIONS = 25
TIMEOUT_S = 1.0
KEPT = 300


class Failure(Exception):
    """One question without a good answer: `kind` and words."""

    def __init__(self, kind, words):
        super().__init__(f"{kind}: {words}")
        self.kind = kind


class Seen:
    """What became of the questions, from all threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = self.empty = 0
        self.failed, self.why_degraded, self.versions = collections.Counter(), collections.Counter(), collections.Counter()
        self.failures, self.degraded, self.took_ms, self.late_ms = [], [], [], 0.0
        self.known = []

    def answered(self, body, at, took_ms, late_ms):
        with self.lock:
            self.sent += 1
            self.took_ms.append(took_ms)
            self.late_ms = max(self.late_ms, late_ms)
            self.versions[body["version"]] += 1
            items = body["items"]
            self.empty += not items
            self.known = (self.known + [one["product_id"] for one in items])[-200:]
            if body.get("degraded"):
                why = f"{body['degraded'].get('from')}/{body['degraded'].get('why')}"
                self.why_degraded[why] += 1
                self.degraded[KEPT:] = []
                self.degraded.append([round(at, 3), why])

    def failed_at(self, failure, at, took_ms):
        with self.lock:
            self.sent += 1
            self.failed[failure.kind] += 1
            if len(self.failures) < KEPT:
                self.failures.append([round(at, 3), round(took_ms), str(failure)])

    def report(self):
        with self.lock:
            took = sorted(self.took_ms) or [0.0]

            def part(share):
                return round(took[min(len(took) - 1, int(share * len(took)))], 1)
            return {"sent": self.sent, "failed": sum(self.failed.values()), "kinds": dict(self.failed), "failures": self.failures,
                    "degraded": sum(self.why_degraded.values()), "why": dict(self.why_degraded), "degraded_at": self.degraded, "empty": self.empty,
                    "versions": dict(self.versions), "p50_ms": part(0.5), "p99_ms": part(0.99), "max_ms": round(took[-1], 1),
                    "late_ms": round(self.late_ms), "connections": CONNECTIONS}


class Caller(threading.Thread):
    """One kept connection with its own timetable."""

    def __init__(self, number, url, every_s, seen, ended):
        super().__init__(daemon=True)
        self.number, self.every_s, self.seen, self.ended = number, every_s, seen, ended
        target = urllib.parse.urlsplit(url)
        self.host, self.port = target.hostname, target.port or 80
        self.connection, self.dice = None, random.Random(number)

    def run(self):
        due = time.monotonic() + self.every_s * self.number / CONNECTIONS
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            began, at = time.monotonic(), time.time()
            try:
                body = self.ask()
                took = time.monotonic() - began
                if took > TIMEOUT_S:
                    raise Failure("timeout", f"answered after {took:.2f} s")
                self.seen.answered(body, at, 1000 * took, 1000 * (began - due))
            except Failure as failure:
                self.close()
                self.seen.failed_at(failure, at, 1000 * (time.monotonic() - began))
            due += self.every_s
        self.close()

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def question(self):
        customer = str(self.dice.randrange(1, 100_000))
        question = {"placement": self.dice.choice(("order_entry", "cart")), "session_id": f"s-{customer}", "limit": 5,
                    "cart": [{"product_id": one, "quantity": 1} for one in self.dice.sample(self.seen.known, min(2, len(self.seen.known)))]}
        if self.dice.random() < 0.8:
            question["customer_id"] = customer
        return json.dumps(question).encode()

    def ask(self):
        """The answer to one question; what goes wrong is a Failure, and nothing is asked twice."""
        self.leave_what_was_closed()
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
            try:
                self.connection.connect()
            except OSError as error:
                raise Failure("not connected", repr(error)) from error
        try:
            self.connection.request("POST", "/v1/recommendations", self.question(), {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            text = answer.read()
        except TimeoutError as error:
            raise Failure("timeout", repr(error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise Failure("broken", repr(error)) from error
        if answer.will_close:
            self.close()
        if not 200 <= answer.status < 300:
            raise Failure(f"status {answer.status}", text[:200].decode(errors="replace"))
        try:
            return json.loads(text)
        except ValueError as error:
            raise Failure("no JSON", text[:200].decode(errors="replace")) from error

    def leave_what_was_closed(self):
        """As every pool of connections does: one that the other end has closed meanwhile is not asked on."""
        sock = self.connection.sock if self.connection else None
        if sock is not None and select.select([sock], [], [], 0)[0]:
            self.close()


class Load:
    """The load as a child process; `with world.load() as load: ...` and then `load.report`."""

    def __init__(self, url, rate=RATE):
        self.words = [sys.executable, "-m", "tests.kubernetes.whole.load", url, "--rate", str(rate)]
        self.report = None

    def __enter__(self):
        self.child = subprocess.Popen(self.words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        try:
            text, _ = self.child.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            raise
        self.report = json.loads(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=RATE)
    options = parser.parse_args()
    seen, ended = Seen(), threading.Event()
    callers = [Caller(number, options.url, CONNECTIONS / options.rate, seen, ended) for number in range(CONNECTIONS)]
    for caller in callers:
        caller.start()
    sys.stdin.read()
    ended.set()
    for caller in callers:
        caller.join(3)
    print(json.dumps(seen.report()), flush=True)


if __name__ == "__main__":
    main()
