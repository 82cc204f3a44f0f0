"""Runs a program in a memory cgroup of its own, as a container would, and says how much it took."""
import dataclasses
import os
import pathlib
import subprocess
import time

from cluster import machine

MIB = 1 << 20


@dataclasses.dataclass
class Ended:
    """How a program ended: its exit code, whether memory ran out, and what it took."""

    code: int
    out_of_memory: bool
    seconds: float
    processor_seconds: float
    resident_mib: float
    """At its highest, without what the system keeps of files."""


class NoCgroup(Exception):
    """Memory cannot be limited here."""


def _memory_root():
    roots = machine.cgroup_roots()
    for root in roots:
        if root.name == "memory" or (root / "cgroup.controllers").exists() and "memory" in (root / "cgroup.controllers").read_text(encoding="utf-8"):
            return root
    raise NoCgroup(f"no cgroup hierarchy with a memory controller among {[str(root) for root in roots]}; run as root where cgroups are mounted")


class Fence:
    """A memory cgroup, of version 1 or 2, that ends with the block."""

    def __init__(self, limit_mib):
        root = _memory_root()
        self.path = root / f"endcap-size-{os.getpid()}"
        try:
            if (root / "cgroup.subtree_control").exists():
                (root / "cgroup.subtree_control").write_text("+memory", encoding="utf-8")
            self.path.mkdir()
        except OSError as error:
            raise NoCgroup(f"failed to make {self.path}: {error.strerror}; run as root") from error
        self.is_v2 = (self.path / "memory.max").exists()
        limit = "memory.max" if self.is_v2 else "memory.limit_in_bytes"
        (self.path / limit).write_text(str(limit_mib * MIB), encoding="utf-8")
        # Nothing is put into swap, which a container has none of either.
        swap, none = ("memory.swap.max", 0) if self.is_v2 else ("memory.memsw.limit_in_bytes", limit_mib * MIB)
        if (self.path / swap).exists():
            (self.path / swap).write_text(str(none), encoding="utf-8")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _ in range(50):
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.1)

    def enter(self):
        """Takes the calling process in."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()), encoding="utf-8")

    def kills(self):
        """How many processes ended for want of memory."""
        name = "memory.events" if self.is_v2 else "memory.oom_control"
        for line in (self.path / name).read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
        return 0


def run(command, log, limit_mib=None):
    """Runs a command, limited if asked, with what it prints in the file `log`."""
    if limit_mib is None:
        return _run(command, log, None)
    with Fence(limit_mib) as fence:
        return _run(command, log, fence)


def _run(command, log, fence):
    began = time.monotonic()
    with pathlib.Path(log).open("wb") as out:
        child = subprocess.Popen([str(part) for part in command], stdout=out, stderr=subprocess.STDOUT, preexec_fn=fence.enter if fence else None)
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return Ended(child.returncode, bool(fence and fence.kills()), time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
