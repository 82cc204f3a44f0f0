"""The tool called as a user calls it, kubectl on its cluster, and pods for tests."""
import json
import pathlib
import shutil
import subprocess
import sys
import time

from .. import build, image, project_image
from ..settings import Places, cache, say, source

NAME = "selftest"
PLACES = Places(NAME)
PROBE_IMAGE = "localhost/endcap-selftest:1"
__all__ = ["NAME", "PLACES", "PROBE_IMAGE", "cluster", "kubectl", "namespace", "pod", "probe_image", "project_archive", "run_to_end", "say",
           "wait"]


def cluster(command, *words, expect=0):
    """Runs `python3 -m cluster COMMAND --name selftest ...`; returns standard output and standard error."""
    done = subprocess.run([sys.executable, "-m", "cluster", command, "--name", NAME, *map(str, words)], capture_output=True, text=True,
                          check=False, cwd=source().parent)
    sys.stderr.write(done.stderr)
    if done.returncode != expect:
        raise AssertionError(f"cluster {command} ended with {done.returncode}, not {expect}:\n{done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def kubectl(*words, stdin=None, check=True, config=None):
    done = subprocess.run([build.kube_tools() / "kubectl", "--kubeconfig", config or PLACES.kubeconfig, *words],
                          input=json.dumps(stdin) if stdin is not None else None, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"kubectl {' '.join(words)} failed: {done.stderr}")
    return done.stdout if check else done


def wait(what, done, patience_s=60):
    end = time.monotonic() + patience_s
    while True:
        value = done()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {patience_s} s")
        time.sleep(0.2)


def namespace(name):
    """A namespace that admits restricted pods only."""
    kubectl("apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    wait("the service account", lambda: kubectl("get", "serviceaccount", "default", "-n", name, check=False).returncode == 0)


def pod(command, picture=PROBE_IMAGE, volumes=(), restart="Never", readiness=None):
    """The spec of a restricted pod. `volumes`: (mount path, volume source)."""
    container = {
        "name": "main", "image": picture, "imagePullPolicy": "Never", "command": command,
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": f"v{number}", "mountPath": path} for number, (path, _) in enumerate(volumes)],
    }
    if readiness:
        container["readinessProbe"] = {"tcpSocket": {"port": readiness}, "periodSeconds": 1}
    return {
        "restartPolicy": restart, "terminationGracePeriodSeconds": 1, "containers": [container],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                            "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": f"v{number}", **value} for number, (_, value) in enumerate(volumes)],
    }


def run_to_end(where, name, spec):
    """Runs a Job; returns its log. Fails with the log when the Job does."""
    kubectl("apply", "-n", where, "-f", "-", stdin={"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
                                                   "spec": {"backoffLimit": 0, "template": {"spec": spec}}})

    def ended():
        status = json.loads(kubectl("get", "job", name, "-n", where, "-o", "json"))["status"]
        return next((row["type"] for row in status.get("conditions", []) if row["status"] == "True" and row["type"] in ("Complete", "Failed")), None)

    how = wait(f"the end of Job {name}", ended)
    log = kubectl("logs", "-n", where, f"job/{name}")
    if how != "Complete":
        raise AssertionError(f"Job {name} failed: {log}")
    return log


def probe_image():
    """An image with one small program for tests, on the base of the project's image."""
    folder = cache() / "cluster" / "selftest-image"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run(["gcc", "-O1", "-o", folder / "probe", pathlib.Path(__file__).with_name("probe.c")], check=True)
    base, _ = project_image.base([folder / "probe"])
    layers = [image.Layer("base", base), image.Layer("probe", [image.File("usr/local/bin/probe", folder / "probe", 0o755)])]
    archive = folder / "probe.tar"
    image.write(archive, PROBE_IMAGE, layers, folder, user="65532:65532", env=["PATH=/usr/local/bin"])
    return archive


def project_archive():
    return project_image.build("selftest", allow_missing=True)
