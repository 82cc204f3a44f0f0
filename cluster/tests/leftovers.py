"""What of a cluster could stay on the machine: taken before and after, then compared."""
import os
import pathlib
import subprocess

from .. import build, machine, processes
from ..settings import CGROUP
from .support import NAME

# Every process of a cluster names its folder, save etcd, which names its own in shared memory. Those of pods are seen by their cgroup.
OURS = (f"/cluster/{NAME}/run", f"endcap-{NAME}-etcd")
FOLDERS = ("/var/lib/kubelet", "/var/log/containers", "/var/log/pods", "/var/lib/cni", "/run/containerd", "/opt/containerd", "/opt/cni",
           "/run/netns", "/etc/cni", "/usr/libexec/kubernetes", "/dev/shm", "/run/flannel", "/var/lib/containerd", "/run/xtables.lock")


def snapshot():
    """{area: set of lines}"""
    return {
        "process": set(_processes()),
        "mount": set(_mounts()),
        # Others make cgroups too, and theirs come and go.
        "cgroup": {str(path) for root in machine.cgroup_roots() for path in _folders(root)
                   if any(word in str(path) for word in (CGROUP, "kubepods", "k8s.io"))},
        "link or address": set(_output("ip", "-o", "-br", "link")) | set(_output("ip", "-o", "-br", "addr")) | set(_output("ip", "route")),
        "nft table": set(_output(_nft(), "list", "tables")) if _nft() else set(),
        "sysctl": set(_sysctls()),
        "file": {str(path) for folder in FOLDERS for path in [pathlib.Path(folder)] if path.exists()}
        | {str(path) for folder in FOLDERS for path in pathlib.Path(folder).glob("**/*")},
    }


def compare(before, after):
    lines = []
    for area, old in before.items():
        lines += [f"{area} new: {line}" for line in sorted(after[area] - old)]
        lines += [f"{area} gone: {line}" for line in sorted(old - after[area]) if area != "process"]
    return lines


def _processes():
    for entry in os.listdir("/proc"):
        if entry.isdigit() and processes.is_alive(entry):
            try:
                words = pathlib.Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if any(word in words for word in OURS):
                yield f"{entry} {words[:100]}"


def _mounts():
    for line in pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        yield line.split()[4]


def _folders(root):
    for folder, names, _ in os.walk(root):
        for name in names:
            yield pathlib.Path(folder, name)


def _output(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def _nft():
    tools = build.all_of("node")
    return tools.nft / "nft"


def _sysctls():
    """All that can be read of it, save what counts and changes by itself."""
    for top in ("net/ipv4", "net/netfilter", "net/bridge", "vm", "kernel", "net/core", "user"):
        for folder, _, names in os.walk(pathlib.Path("/proc/sys", top)):
            for name in names:
                path = pathlib.Path(folder, name)
                if any(word in str(path) for word in ("/random/", "count", "ns_last_pid", "route/flush", "nf_log", "/pty/nr", "/stat_",
                                                      "sched_domain", "_nr_open", "drop_caches", "compact_memory")):
                    continue
                try:
                    yield f"{path} {path.read_text(encoding='utf-8', errors='replace').strip()}"
                except OSError:
                    continue
