"""The programs that a cluster is made of: fetched or built once, then taken from the cache."""
import hashlib
import os
import pathlib
import shutil
import subprocess
from dataclasses import dataclass

from . import debian, image, progress
from .settings import COREDNS, KUBERNETES, PAUSE, Missing, cache, source

NAMES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
CONTROL_PLANE_PACKAGES = ("etcd-server",)
NODE_PACKAGES = ("containerd", "runc", "containernetworking-plugins", "nftables", "libnftables1", "libnftnl11", "libmnl0", "libjansson4",
                 "libxtables12", "libedit2", "libbsd0", "libmd0", "libseccomp2", "conntrack", "libnetfilter-conntrack3", "libnfnetlink0")


@dataclass(frozen=True)
class Tools:
    """Folders and programs; the node's are None in the profile without a node."""
    kube: pathlib.Path
    etcd: pathlib.Path
    debian: pathlib.Path = None
    coredns: pathlib.Path = None
    pause: pathlib.Path = None

    @property
    def kubectl(self):
        return self.kube / "kubectl"

    @property
    def cni(self):
        return self.debian / "usr/lib/cni"

    @property
    def ctr(self):
        return self.debian / "usr/bin/ctr"

    @property
    def nft(self):
        """Where the wrappers of nft and conntrack lie, which know their libraries."""
        return self.debian / "wrappers"

    def paths(self):
        """{program: path} of what a person or a test may want to call."""
        found = {name: str(self.kube / name) for name in NAMES} | {"etcd": str(self.etcd)}
        if self.debian:
            found |= {"coredns": str(self.coredns), "ctr": str(self.ctr), "nft": str(self.nft / "nft"), "conntrack": str(self.nft / "conntrack")}
        return found


def all_of(profile):
    """Builds or fetches what the profile needs."""
    folder, _ = debian.unpacked("etcd", CONTROL_PLANE_PACKAGES)
    tools = {"kube": kube_tools(), "etcd": folder / "usr/bin/etcd"}
    if profile == "node":
        tools["debian"] = _node_packages()
        tools["coredns"] = coredns()
        tools["pause"] = pause()
    return Tools(**tools)


def lacking(profile):
    """The compilers that are missing for what is not built yet."""
    unbuilt = not (_kube_home() / "kubectl").exists() or profile == "node" and not _coredns_home().joinpath("coredns").exists()
    if unbuilt and _go() is None:
        yield "Go, to build Kubernetes once: install Go 1.26 or later and put it on PATH"
    if profile == "node" and not (_pause_home() / "pause.tar").exists() and _compiler() is None:
        yield "a C compiler, for the pause program: apt-get install gcc libc6-dev"


def _go():
    return shutil.which("go") or shutil.which("/usr/local/go/bin/go")


def _compiler():
    return shutil.which("gcc") or shutil.which("cc")


def _key(*texts):
    return hashlib.sha256(b"".join(texts)).hexdigest()[:16]


def _kube_home():
    texts = [(source() / "kube-tools" / name).read_bytes() for name in ("main.go", "go.mod", "go.sum")]
    return cache() / "cluster" / "kube-tools" / _key(*texts, KUBERNETES.encode())


def _coredns_home():
    return cache() / "cluster" / "tools" / f"coredns-{COREDNS}"


def _pause_home():
    return cache() / "cluster" / "pause" / _key((source() / "pause.c").read_bytes(), PAUSE.encode())


def kube_tools():
    """The folder with the servers and kubectl: six names of one binary, under a key of its sources."""
    folder, home = source() / "kube-tools", _kube_home()
    if (home / "kubectl").exists():
        return home
    part = home.with_name(home.name + f".part{os.getpid()}")
    major, minor = KUBERNETES.lstrip("v").split(".")[:2]
    # Without these the components call themselves v0.0.0, and clients refuse to speak to them.
    flags = ["-s", "-w"] + [word for name, value in (
        ("k8s.io/component-base/version.gitVersion", KUBERNETES), ("k8s.io/component-base/version.gitMajor", major),
        ("k8s.io/component-base/version.gitMinor", minor), ("k8s.io/component-base/version.gitTreeState", "clean"),
        ("k8s.io/client-go/pkg/version.gitVersion", KUBERNETES)) for word in ("-X", f"{name}={value}")]
    try:
        part.mkdir(parents=True)
        progress.run(f"build Kubernetes {KUBERNETES} from its Go modules (once; 4 to 8 minutes on 2 cores)",
                     [_go(), "build", "-trimpath", "-ldflags", " ".join(flags), "-o", part / "kube-tools", "."],
                     cwd=folder, env={**os.environ, "CGO_ENABLED": "0"})
        for name in NAMES:
            (part / name).symlink_to("kube-tools")
        part.rename(home)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return home


def coredns():
    home = _coredns_home()
    if not (home / "coredns").exists():
        home.mkdir(parents=True, exist_ok=True)
        progress.run(f"build CoreDNS {COREDNS} (once; 2 to 5 minutes on 2 cores)",
                     [_go(), "install", "-trimpath", "-ldflags", "-s -w", f"github.com/coredns/coredns@{COREDNS}"],
                     env={**os.environ, "CGO_ENABLED": "0", "GOBIN": str(home)}, cwd="/")
    return home / "coredns"


def _node_packages():
    folder, _ = debian.unpacked("node", NODE_PACKAGES)
    wrappers = folder / "wrappers"
    if not wrappers.exists():
        part = folder / f"wrappers.part{os.getpid()}"
        part.mkdir()
        libraries = ":".join(debian.library_folders(folder))
        for program in ("usr/sbin/nft", "usr/sbin/conntrack", "usr/sbin/runc"):
            path = part / pathlib.Path(program).name
            path.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{folder / program}" "$@"\n', encoding="utf-8")
            path.chmod(0o755)
        part.rename(wrappers)
    return folder


def pause():
    """The image that holds a pod's namespaces, as an OCI archive."""
    home = _pause_home()
    archive = home / "pause.tar"
    if archive.exists():
        return archive
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([_compiler(), "-Os", "-static", "-s", "-o", home / "pause", source() / "pause.c"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"the pause program cannot be linked statically: apt-get install libc6-dev\n{done.stderr.strip()}")
    layer = image.Layer("pause", [image.File("pause", home / "pause", 0o755)])
    image.write(archive, PAUSE, [layer], entrypoint=["/pause"], user="65535:65535", layer_cache=home)
    return archive
