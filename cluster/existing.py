"""Clusters that this tool does not make itself: that of KUBECONFIG, and kind where a container engine answers."""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time

from . import pki
from .settings import Failed, Missing, say


def kubectl():
    """The machine's own, else the one that is built."""
    from . import build
    return shutil.which("kubectl") or str(build.kube_tools() / "kubectl")


def _config(kubeconfig):
    done = subprocess.run([kubectl(), "--kubeconfig", kubeconfig, "config", "view", "--raw", "--minify", "--flatten", "-o", "json"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{kubeconfig} has no usable current context: {done.stderr.strip()}")
    return json.loads(done.stdout)


def facts(kubeconfig, name, kind, users):
    cluster = _config(kubeconfig)["clusters"][0]["cluster"]
    users.mkdir(parents=True, exist_ok=True)
    authority = users / "ca.crt"
    authority.write_bytes(base64.b64decode(cluster.get("certificate-authority-data", "")))
    nodes = subprocess.run([kubectl(), "--kubeconfig", kubeconfig, "get", "nodes", "-o", "name"], capture_output=True, text=True, check=False)
    if nodes.returncode != 0:
        raise Failed(f"the cluster of {kubeconfig} does not answer: {nodes.stderr.strip()}")
    first = nodes.stdout.split()
    return {"kubeconfig": str(kubeconfig), "profile": "node", "server": cluster["server"], "ca": str(authority),
            "node": first[0].removeprefix("node/") if first else None, "name": name, "kind": kind}


class Given:
    """The cluster of KUBECONFIG. It is somebody's: nothing of it is started, stopped or removed."""

    def __init__(self, places):
        self.places = places
        self.kubeconfig = os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")
        if not os.path.exists(self.kubeconfig):
            raise Missing(f"ENDCAP_USE_CLUSTER=1, but there is no {self.kubeconfig}: set KUBECONFIG to the cluster's file")

    def up(self, _profile):
        return facts(self.kubeconfig, "given", "given", self.places.root / "given")

    def down(self):
        say("the cluster of KUBECONFIG is left as it is (ENDCAP_USE_CLUSTER=1)")

    def status(self):
        return self.up(None)

    def import_images(self, _archives):
        raise Missing("images cannot be put into the cluster of KUBECONFIG: push the archive to a registry that it reads "
                      "(skopeo copy oci-archive:FILE docker://...)")

    def user(self, name, groups):
        return user_by_request(self.kubeconfig, name, groups, self.places.root / "given")


class Kind:
    """kind, in a container engine."""

    def __init__(self, places):
        self.places, self.name = places, f"endcap-{places.name}"

    def _exists(self):
        done = subprocess.run(["kind", "get", "clusters"], capture_output=True, text=True, check=False)
        return self.name in done.stdout.split()

    def up(self, _profile):
        self.places.root.mkdir(parents=True, exist_ok=True)
        if self._exists():
            say(f"kind cluster {self.name} is up already")
        else:
            say(f"kind creates cluster {self.name}")
            done = subprocess.run(["kind", "create", "cluster", "--name", self.name, "--kubeconfig", self.places.kubeconfig,
                                   "--wait", "3m"], check=False, stdout=2)
            if done.returncode != 0:
                raise Failed(f"kind failed to create cluster {self.name}: its output is above")
        return facts(self.places.kubeconfig, self.places.name, "kind", self.places.root / "kind")

    def down(self):
        if self._exists():
            subprocess.run(["kind", "delete", "cluster", "--name", self.name, "--kubeconfig", self.places.kubeconfig], check=True, stdout=2)
        shutil.rmtree(self.places.root / "kind", ignore_errors=True)
        self.places.kubeconfig.unlink(missing_ok=True)

    def status(self):
        return facts(self.places.kubeconfig, self.places.name, "kind", self.places.root / "kind") if self._exists() else None

    def import_images(self, archives):
        for archive in archives:
            subprocess.run(["kind", "load", "image-archive", archive, "--name", self.name], check=True, stdout=2)

    def user(self, name, groups):
        return user_by_request(self.places.kubeconfig, name, groups, self.places.root / "kind")


def engine_answers():
    """kind is there and a container engine really answers: a client without a daemon does not count."""
    if shutil.which("kind") is None:
        return False
    for engine in ("docker", "podman"):
        if shutil.which(engine) and subprocess.run([engine, "info"], capture_output=True, check=False, timeout=20).returncode == 0:
            return True
    return False


def user_by_request(kubeconfig, name, groups, folder):
    """A client certificate that the cluster itself signs (CertificateSigningRequest), for clusters whose key we do not hold."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder) as part:
        key = os.path.join(part, "user.key")
        request = pki.request(key, name, groups)
        label = f"endcap-{os.urandom(6).hex()}"
        wanted = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": label},
                  "spec": {"request": base64.b64encode(request.encode()).decode(), "signerName": "kubernetes.io/kube-apiserver-client",
                           "usages": ["client auth"], "expirationSeconds": 86400}}
        _kubectl(kubeconfig, "create", "-f", "-", stdin=json.dumps(wanted))
        try:
            _kubectl(kubeconfig, "certificate", "approve", label)
            certificate = ""
            for _ in range(100):
                certificate = _kubectl(kubeconfig, "get", "csr", label, "-o", "jsonpath={.status.certificate}")
                if certificate:
                    break
                time.sleep(0.2)
        finally:
            _kubectl(kubeconfig, "delete", "csr", label)
        if not certificate:
            raise Failed(f"the cluster did not sign a certificate for user {name}: its controller manager needs a signing key")
        with open(key, "rb") as file:
            private = base64.b64encode(file.read()).decode()
    config = _config(kubeconfig)
    config["users"] = [{"name": name, "user": {"client-certificate-data": certificate, "client-key-data": private}}]
    config["contexts"][0]["context"]["user"] = name
    path = folder / f"{pki.file_name(name, groups)}.kubeconfig"
    path.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def _kubectl(kubeconfig, *words, stdin=None):
    done = subprocess.run([kubectl(), "--kubeconfig", kubeconfig, *words], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"kubectl {' '.join(words[:2])} failed: {done.stderr.strip()}")
    return done.stdout.strip()
