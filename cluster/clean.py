"""Ends a cluster and removes all that it left on the machine."""
import os
import pathlib
import re
import shutil
import signal
import subprocess

from . import machine, processes
from .settings import ADDRESS, BRIDGE, CGROUP, CONTROL_PLANE, NODE_ONLY, Failed, cache


def clean(places, before):
    """`before`: machine.snapshot() of the start, or {} when it is lost: then sysctls stay as they are."""
    # The kubelet first, else it starts what is ended here. Nothing of it all must end gracefully: the state is thrown away.
    processes.stop(places, [name for name in NODE_ONLY if name != "containerd"], signal.SIGKILL)
    _end_pods(places)
    processes.stop(places, ["containerd", *reversed(CONTROL_PLANE)], signal.SIGKILL)
    _unmount(places)
    _remove_network()
    _remove_cgroups(before.get("k8s_cgroup", True))
    _restore_sysctls(before.get("sysctls", {}))
    _remove_files(places, before.get("absent_folders", []))


def _end_pods(places):
    shims = processes.with_argument(str(places.containerd_socket))
    containerd = processes.pid_of(places, "containerd")
    sockets = [socket for socket in map(_shim_socket, _bundles(places)) if socket]
    # Shims first: they would report and clean each end, one by one.
    processes.kill_each([pid for pid in shims if pid != containerd])
    processes.kill_each(_in_cgroups())
    for socket in sockets:
        pathlib.Path(socket).unlink(missing_ok=True)


def _bundles(places):
    return places.run.glob("containerd-state/io.containerd.runtime.v2.task/*/*")


def _shim_socket(bundle):
    try:
        address = (bundle / "address").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return address.removeprefix("unix://") if address.startswith("unix:///run/containerd/s/") else None


def _in_cgroups():
    """Processes of pods, and only of ours: the cgroup has our name."""
    found = set()
    for root in machine.cgroup_roots():
        for folder, _, _ in os.walk(root / CGROUP):
            try:
                found.update(int(pid) for pid in pathlib.Path(folder, "cgroup.procs").read_text(encoding="utf-8").split())
            except OSError:
                pass
    return sorted(found)


def mounts(places):
    """Mount points below the cluster's folder, the inner ones first."""
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        path = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), line.split()[4])
        if path.startswith(f"{places.run}/"):
            found.append(path)
    return sorted(found, key=len, reverse=True)


def _unmount(places):
    # Twice: propagated mounts may show only after others are gone.
    for options in ([], ["-l"]):
        paths = mounts(places)
        if paths:
            subprocess.run(["umount", *options, *paths], capture_output=True, check=False)


def _remove_network():
    addresses = subprocess.run(["ip", "-o", "-4", "addr", "show", "dev", "lo"], capture_output=True, text=True, check=False).stdout
    if f" {ADDRESS}/32 " in addresses:
        subprocess.run(["ip", "addr", "del", f"{ADDRESS}/32", "dev", "lo"], check=False)
    bridge = pathlib.Path(f"/sys/class/net/{BRIDGE}")
    if bridge.exists():
        for port in list((bridge / "brif").iterdir()):
            subprocess.run(["ip", "link", "del", port.name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", BRIDGE], capture_output=True, check=False)
    for nft in sorted((cache() / "cluster" / "debian").glob("node-*/wrappers/nft"))[:1]:
        for family in ("ip", "ip6"):
            subprocess.run([nft, "delete", "table", family, "kube-proxy"], capture_output=True, check=False)


def _remove_cgroups(keep_k8s):
    names = [CGROUP] if keep_k8s else [CGROUP, "k8s.io"]
    for root in machine.cgroup_roots():
        for name in names:
            for folder, _, _ in os.walk(root / name, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass


def _restore_sysctls(values):
    for name, value in values.items():
        path = pathlib.Path("/proc/sys", name)
        try:
            if path.read_text(encoding="utf-8").strip() != value:
                path.write_text(value, encoding="utf-8")
        except OSError:
            pass


def _remove_files(places, absent_folders):
    left = mounts(places)
    if left:
        # Removing the folder would remove what is mounted there.
        raise Failed(f"failed to unmount {', '.join(left)}: something still uses it; end that (fuser -m PATH), then run `cluster down` again")
    links = pathlib.Path("/var/log/containers")
    if links.is_dir():
        for link in links.iterdir():
            if link.is_symlink() and os.readlink(link).startswith(str(places.run)):
                link.unlink()
    if "/var/lib/kubelet" in absent_folders:
        shutil.rmtree("/var/lib/kubelet/device-plugins", ignore_errors=True)
    if "/var/lib/cni/results" in absent_folders:
        shutil.rmtree("/var/lib/cni/results", ignore_errors=True)
    # The inner ones first; a folder that holds something of others stays.
    for folder in sorted(absent_folders, key=len, reverse=True):
        try:
            os.rmdir(folder)
        except OSError:
            pass
    shutil.rmtree(places.etcd, ignore_errors=True)
    shutil.rmtree(places.run, ignore_errors=True)
    if places.run.exists():
        shutil.rmtree(places.run)
    places.kubeconfig.unlink(missing_ok=True)
    places.state.unlink(missing_ok=True)
