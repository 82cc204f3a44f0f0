"""What the machine must have, what the cluster changes on it, and how that is put back."""
import errno
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from .settings import ADDRESS, BRIDGE, CGROUP, Missing

CGROUPS = pathlib.Path("/sys/fs/cgroup")
FORWARDING = pathlib.Path("/proc/sys/net/ipv4/ip_forward")
CAP_SYS_ADMIN = 21
# The kubelet, kube-proxy and we set these; `down` puts the old values back.
SYSCTLS = ("net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet", "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic",
           "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")
# Folders of the system that kubelet, containerd and CNI make, whatever their configuration says. `down` removes those that were not there.
SYSTEM_FOLDERS = ("/var/lib/kubelet", "/var/lib/kubelet/device-plugins", "/var/log/containers", "/var/log/pods", "/var/lib/cni",
                  "/var/lib/cni/results", "/var/lib/cni/networks", "/var/lib/cni/cache", "/run/containerd", "/run/containerd/s",
                  "/run/containerd/runc", "/opt/containerd", "/opt/containerd/bin", "/opt/containerd/lib", "/run/netns", "/run/flannel",
                  "/usr/libexec/kubernetes")
# Probed at an address of their own: a name server on 127.0.0.53 is no hindrance, one on 0.0.0.0 is.
PORTS_OF_ALL = {"127.0.0.1": (2379, 2380, 10257), "127.99.0.1": (6443,)}
PORTS_OF_NODE = {"127.0.0.1": (10248, 10249, 10256, 10259), "127.99.0.1": (53, 10250)}


def check(places, profile, builders):
    """Raises Missing with all that is missing at once, each with its remedy. `builders`: what build.lacking says."""
    lacking = [*_lacking_tools(), *builders]
    if os.geteuid() != 0:
        lacking.append("root: the cluster adds an address and starts a node; run it as root (sudo -E make cluster-up)")
    else:
        lacking += _lacking_network(profile)
        if profile == "node":
            lacking += _lacking_rights(places)
    if len(str(places.containerd_socket)) > 80:
        lacking.append(f"a shorter path: sockets below {places.run} would be longer than the system allows; set ENDCAP_CACHE to a short folder")
    _refuse(lacking)


def check_rights(places, builders):
    """The check before a node is added to a running control plane."""
    _refuse([*_lacking_tools(), *builders, *_lacking_ports(PORTS_OF_NODE), *_lacking_rights(places)])


def _refuse(lacking):
    if lacking:
        raise Missing("this machine lacks:\n" + "\n".join(f"  - {text}" for text in lacking))


def _lacking_tools():
    for tool, package in (("openssl", "openssl"), ("ip", "iproute2"), ("umount", "mount"), ("dpkg", "dpkg"), ("apt-get", "apt")):
        if shutil.which(tool) is None:
            yield f"{tool}: apt-get install {package}"


def _lacking_network(profile):
    try:
        # Its own value again: whether it may be written shows whether the network may be changed.
        FORWARDING.write_text(FORWARDING.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        yield f"the right to change the network (CAP_NET_ADMIN; {error}): inside a container, run that one with --privileged"
    if ADDRESS in _addresses():
        yield f"a free address: {ADDRESS} is on an interface already, not by this tool; remove it (ip addr del {ADDRESS}/32 dev lo)"
    if pathlib.Path(f"/sys/class/net/{BRIDGE}").exists():
        yield f"a free bridge: {BRIDGE} is there, so another pod network runs here; stop it, or remove it (ip link del {BRIDGE})"
    yield from _lacking_ports(PORTS_OF_ALL)
    if profile == "node":
        yield from _lacking_ports(PORTS_OF_NODE)


def _lacking_ports(ports):
    for address, numbers in ports.items():
        for number in numbers:
            if not _is_free(address, number):
                yield f"a free port {number}: another program listens there (ss -ltnp sport = :{number}); stop it"


def _addresses():
    done = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True, check=False)
    return {word.split("/")[0] for line in done.stdout.splitlines() for word in line.split() if "/" in word}


def _is_free(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _lacking_rights(places):
    status = pathlib.Path("/proc/self/status").read_text(encoding="utf-8")
    capabilities = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff")), 16)
    if not capabilities >> CAP_SYS_ADMIN & 1:
        yield "the capability CAP_SYS_ADMIN: inside a container, run that one with --privileged"
        return
    if not cgroup_roots():
        yield "cgroups: none are mounted below /sys/fs/cgroup; mount them (apt-get install cgroupfs-mount)"
    for root in cgroup_roots():
        probe = root / f"{CGROUP}-probe"
        try:
            probe.mkdir(exist_ok=True)
            probe.rmdir()
        except OSError as error:
            yield f"writable cgroups: {root} refuses a folder ({error.strerror}); inside a container, run that one with --privileged"
            break
    places.root.mkdir(parents=True, exist_ok=True)
    if not _overlay_works(places.root):
        yield (f"overlayfs in {places.root}: the kernel lacks it (modprobe overlay) or that folder lies on an overlay itself; "
               "set ENDCAP_CACHE to a folder on a real disk")


def _overlay_works(folder):
    with tempfile.TemporaryDirectory(dir=folder) as probe:
        names = {name: os.path.join(probe, name) for name in ("lower", "upper", "work", "merged")}
        for path in names.values():
            os.mkdir(path)
        options = f"lowerdir={names['lower']},upperdir={names['upper']},workdir={names['work']}"
        done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, names["merged"]], capture_output=True, check=False)
        if done.returncode == 0:
            subprocess.run(["umount", names["merged"]], check=False)
        return done.returncode == 0


def cgroup_roots():
    """The mount points of all cgroup hierarchies, of version 1 and 2."""
    found = set()
    for line in pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, path, kind = line.split()[:3]
        if kind in ("cgroup", "cgroup2") and (path == str(CGROUPS) or path.startswith(f"{CGROUPS}/")):
            found.add(pathlib.Path(path).resolve())
    return sorted(found)


def make_cgroups():
    """The cgroup that the kubelet is told to keep pods in must be there before it starts."""
    for root in cgroup_roots():
        folder = root / CGROUP
        folder.mkdir(exist_ok=True)
        # Version 1: a cpuset without processors takes no process.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (folder / name).exists() and (root / name).exists() and not (folder / name).read_text(encoding="utf-8").strip():
                (folder / name).write_text((root / name).read_text(encoding="utf-8"), encoding="utf-8")
        # Version 2: a controller works below a folder only where the folder hands it down.
        controllers = root / "cgroup.controllers"
        if controllers.exists():
            for controller in controllers.read_text(encoding="utf-8").split():
                for level in (root, folder):
                    try:
                        (level / "cgroup.subtree_control").write_text(f"+{controller}", encoding="utf-8")
                    except OSError:
                        pass


def snapshot():
    """What the machine is like before, for `restore`."""
    sysctls = {}
    for name in SYSCTLS:
        try:
            sysctls[name] = pathlib.Path("/proc/sys", name).read_text(encoding="utf-8").strip()
        except OSError:
            pass
    return {"sysctls": sysctls, "absent_folders": [name for name in SYSTEM_FOLDERS if not os.path.exists(name)],
            "k8s_cgroup": any((root / "k8s.io").exists() for root in cgroup_roots())}


def change():
    """Gives the host the cluster's address and lets it pass packets between pods and services."""
    subprocess.run(["ip", "addr", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
    FORWARDING.write_text("1", encoding="utf-8")
