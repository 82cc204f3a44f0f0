"""Debian packages unpacked into the cache: nothing is installed and no daemon starts."""
import hashlib
import os
import pathlib
import shutil
import subprocess

from . import progress
from .settings import Failed, Missing, cache, say


def unpacked(label, packages):
    """A folder that holds these packages unpacked, and their versions ({package: version}).

    The versions are those that the machine's package lists name, so an update there gives a new folder."""
    versions = _candidates(packages)
    key = hashlib.sha256(repr(sorted(versions.items())).encode()).hexdigest()[:16]
    folder = cache() / "cluster" / "debian" / f"{label}-{key}"
    if not folder.exists():
        _fetch(label, packages, folder)
    return folder, versions


def _candidates(packages):
    versions = _policy(packages)
    if any(package not in versions for package in packages):
        if os.geteuid() != 0:
            raise Missing("the package lists of this machine are missing: run `apt-get update` as root")
        progress.run("apt-get update", ["apt-get", "update"])
        versions = _policy(packages)
    lacking = [package for package in packages if package not in versions]
    if lacking:
        raise Missing(f"no Debian package {', '.join(lacking)} in this machine's sources: the recipe needs Debian 12 or a like system")
    return versions


def _policy(packages):
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Missing("apt-get and dpkg are needed to fetch programs: use a Debian or Ubuntu machine, or kind on one with a container engine")
    done = subprocess.run(["apt-cache", "policy", *packages], capture_output=True, text=True, check=False,
                          env={**os.environ, "LC_ALL": "C"})
    versions, package = {}, None
    for line in done.stdout.splitlines():
        if not line.startswith(" "):
            package = line.rstrip(":")
        elif line.strip().startswith("Candidate:") and "(none)" not in line:
            versions[package] = line.split(":", 1)[1].strip()
    return versions


def _fetch(label, packages, folder):
    part = folder.with_name(folder.name + f".part{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    downloads = part.with_name(part.name + ".debs")
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    try:
        command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages]
        try:
            progress.run(f"fetch Debian packages for {label}", command, cwd=downloads)
        except Failed:
            # Lists older than the archive name versions that are gone.
            if os.geteuid() != 0:
                raise
            say("the package lists may be old: they are read anew")
            progress.run("apt-get update", ["apt-get", "update"])
            progress.run(f"fetch Debian packages for {label}", command, cwd=downloads)
        part.mkdir(parents=True)
        for package in sorted(pathlib.Path(downloads).glob("*.deb")):
            subprocess.run(["dpkg", "-x", package, part], check=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(downloads, ignore_errors=True)


def library_folders(folder):
    """Where shared libraries lie in an unpacked folder, merged /usr or not."""
    found = {path.parent for path in folder.glob("**/*.so.*") if path.parent.name.endswith("-linux-gnu")}
    return sorted(map(str, found))
