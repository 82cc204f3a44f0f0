"""What the story of `make demo-cluster` stands on: kubectl as different people, an S3-compatible store, customers, claims that are checked."""
import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from . import settings
from .settings import Failed, cache, programs

SYSTEM, SHOP, MODEL = "endcap-system", "shop", "shop"
STORE_PORT = 7070


def tool(name):
    found = cache() / "bin" / name
    return str(found) if found.exists() else name


class Kubectl:
    """kubectl with one person's rights."""

    def __init__(self, kubeconfig, who="admin"):
        self.kubeconfig, self.who = str(kubeconfig), who

    def run(self, *words, text=None, check=True, shown=False):
        if shown:
            print(f"   {self.who}$ kubectl {' '.join(_quoted(word) for word in words)}", flush=True)
        done = subprocess.run([tool("kubectl"), "--kubeconfig", self.kubeconfig, *words], input=text, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise Failed(f"kubectl {' '.join(words)} failed: {done.stderr.strip() or done.stdout.strip()}")
        if shown:
            for line in (done.stdout + done.stderr).rstrip().splitlines():
                print(f"   {line}", flush=True)
        return done

    def json(self, *words):
        return json.loads(self.run(*words, "-o", "json").stdout)

    def model(self):
        return self.json("get", "recommendermodel", MODEL, "-n", SHOP)

    def version(self, name):
        return self.json("get", "modelversion", name, "-n", SHOP)

    def patch(self, spec, shown=True, check=True):
        return self.run("patch", "recm", MODEL, "-n", SHOP, "--type=merge", "-p", json.dumps({"spec": spec}), shown=shown, check=check)


def _quoted(word):
    return f"'{word}'" if any(one in word for one in " {}\"") else word


def condition(thing, kind):
    found = [one for one in thing.get("status", {}).get("conditions", []) if one["type"] == kind]
    return found[0] if found else {"status": "Unknown", "reason": "", "message": ""}


class Claims:
    """Said and counted; one that is not true makes the story end with 1."""

    def __init__(self):
        self.true, self.false = 0, []

    def check(self, claim, is_true):
        print(f"   {'ok ' if is_true else 'NO '} {claim}", flush=True)
        if is_true:
            self.true += 1
        else:
            self.false.append(claim)


class Store:
    """versitygw on a folder: an S3-compatible store that pods reach by the host's own address."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.child = None

    def start(self):
        (self.folder / "endcap").mkdir(parents=True, exist_ok=True)
        log = (self.folder.parent / "store.log").open("ab")
        env = {**os.environ, "ROOT_ACCESS_KEY": "endcap", "ROOT_SECRET_KEY": "endcap-secret"}
        self.child = subprocess.Popen([tool("versitygw"), "--port", f"{settings.ADDRESS}:{STORE_PORT}", "posix", str(self.folder)],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if self.child.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://{settings.ADDRESS}:{STORE_PORT}/", timeout=1):
                    return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)
        raise Failed(f"the store did not start: see {self.folder.parent / 'store.log'}; is port {STORE_PORT} taken?")

    def stop(self):
        if self.child:
            self.child.terminate()
            self.child.wait()

    def put_folder(self, source, name):
        target = self.folder / "endcap" / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("truth"))


class Customers:
    """`endcap simulate`: customers of the generated shop at the stable address."""

    def __init__(self, url, data, rate, seed, fashion=False, seconds=None):
        words = [str(programs() / "endcap"), "simulate", "--url", url, "--data", str(data), "--rate", str(rate), "--seed", str(seed), "--restock", "--json"]
        if fashion:
            words += ["--taste-change-after", "0", "--taste-change-share", "1.0", "--fashion"]
        if seconds:
            words += ["--seconds", str(seconds)]
        self.child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def stop(self):
        """What they did and saw."""
        if self.child.poll() is None:
            self.child.terminate()
        text, _ = self.child.communicate(timeout=60)
        try:
            return json.loads(text)
        except ValueError as error:
            raise Failed(f"the customers ended badly: {text[:400]}") from error


def ask(url, question, timeout_s=5):
    """One question as an OMS asks it."""
    request = urllib.request.Request(url + "/v1/recommendations", data=json.dumps(question).encode(), headers={"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout_s) as answer:
        return json.loads(answer.read())


def ask_patiently(url, question, for_s=10):
    """As an OMS that tries again while nobody listens: kube-proxy follows a pod that has become ready within seconds."""
    end = time.monotonic() + for_s
    while True:
        try:
            return ask(url, question)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > end:
                raise
            time.sleep(0.2)


def get(url, timeout_s=5):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout_s) as answer:
        return json.loads(answer.read())
