"""Fixed figures of the cluster and the places it keeps its things in."""
import os
import pathlib
import platform
import sys
from dataclasses import dataclass

KUBERNETES = "v1.36.4"
COREDNS = "v1.15.0"

# One address of the host that pods reach and nobody outside does: the `kubernetes` endpoint and the node's address must not be loopback,
# and an extra /32 on `lo` is the least that satisfies every check.
ADDRESS = "10.99.0.1"
NODE = "node1"
SERVICES = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
PODS = "10.244.0.0/16"
NODE_PODS = "10.244.0.0/24"
BRIDGE = "cni0"
DOMAIN = "cluster.local"
SERVER = f"https://{ADDRESS}:6443"
# The cgroup that holds all pods. A name of our own, so that another kubelet's `kubepods` is never touched.
CGROUP = "endcap-cluster"
PAUSE = "localhost/endcap-pause:1"
STORAGE_CLASS = "standard"
# Sizes in GiB of the 24 volumes that lie ready. A claim gets the smallest that is large enough.
VOLUMES = [1] * 8 + [2] * 4 + [5] * 6 + [10] * 6

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager")
NODE_ONLY = ("containerd", "kube-scheduler", "kubelet", "kube-proxy", "coredns", "volume-keeper")
# These ask the API server as they start, and end when it does not answer.
AFTER_API_SERVER = ("coredns", "volume-keeper")
PROFILES = {"control-plane": CONTROL_PLANE, "node": CONTROL_PLANE + NODE_ONLY}
# What may be stopped and started alone. Without containerd there is no way to speak of its pods, so it is not one of them.
STOPPABLE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns")


class Missing(Exception):
    """The machine lacks something; the message says what and how to get it. Exit code 3."""


class Failed(Exception):
    """Something went wrong; the message names it and the remedy. Exit code 1."""


def say(text):
    print(f"cluster: {text}", file=sys.stderr, flush=True)


def cache():
    """The project's cache: the same rule as in the Makefile and scripts/lib.sh."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(os.environ.get("ENDCAP_CACHE") or os.path.join(home, "endcap")).absolute()


def programs():
    """Where cargo leaves the project's programs."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or cache() / "target") / "debug"


def architecture():
    """The machine's name in OCI and Go."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def source():
    return pathlib.Path(__file__).resolve().parent


def shared_memory():
    """A folder on tmpfs for etcd, whose writes are many and small; None where there is none."""
    folder = pathlib.Path("/dev/shm")
    return folder if os.access(folder, os.W_OK) and os.path.ismount(folder) else None


@dataclass(frozen=True)
class Places:
    """The folders of one cluster. All below `run` goes with `down`."""
    name: str

    @property
    def root(self):
        return cache() / "cluster" / self.name

    @property
    def run(self):
        return self.root / "run"

    @property
    def pki(self):
        return self.run / "pki"

    @property
    def logs(self):
        return self.run / "logs"

    @property
    def pids(self):
        return self.run / "pids"

    @property
    def volumes(self):
        return self.run / "volumes"

    @property
    def state(self):
        """What `down` must restore. Outside `run`: it is removed last."""
        return self.root / "state.json"

    @property
    def kubeconfig(self):
        return self.root / "kubeconfig"

    @property
    def users(self):
        return self.run / "users"

    @property
    def etcd(self):
        memory = shared_memory()
        return memory / f"endcap-{self.name}-etcd" if memory else self.run / "etcd"

    @property
    def containerd_socket(self):
        return self.run / "containerd.sock"
