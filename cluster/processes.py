"""Starts, finds and ends the cluster's processes by pid files."""
import os
import signal
import subprocess
import time


def _stat(pid):
    """(state letter, start time) of a process; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The second field is the name in brackets and may hold anything, brackets and blanks too.
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], fields[19]


def is_alive(pid):
    """A zombie counts as gone: on many small machines nobody collects the children of a tool that has ended."""
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"


def start(places, name, argv, env=None):
    """Starts a process in a session of its own, so that it survives this tool and its whole group can be ended."""
    places.logs.mkdir(parents=True, exist_ok=True)
    places.pids.mkdir(parents=True, exist_ok=True)
    with open(places.logs / f"{name}.log", "ab") as log:
        child = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, **(env or {})}, cwd="/", start_new_session=True)
    stat = _stat(child.pid)
    (places.pids / name).write_text(f"{child.pid} {stat[1] if stat else 0}\n", encoding="utf-8")


def pid_of(places, name):
    """The live process of that name, or None. The start time guards against a pid that another process has now."""
    try:
        pid, began = (places.pids / name).read_text(encoding="utf-8").split()
    except (FileNotFoundError, ValueError):
        return None
    stat = _stat(pid)
    return int(pid) if stat and stat[0] not in "ZX" and stat[1] == began else None


def stop(places, names, sig=signal.SIGTERM, patience_s=10):
    """Ends these processes with their groups; the impatient way after `patience_s`."""
    groups = [pid for pid in (pid_of(places, name) for name in names) if pid]
    for group in groups:
        _signal_group(group, sig)
    if not wait_gone(groups, patience_s):
        for group in groups:
            _signal_group(group, signal.SIGKILL)
        wait_gone(groups, 5)
    for name in names:
        (places.pids / name).unlink(missing_ok=True)


def kill_each(pids, patience_s=5):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return wait_gone(pids, patience_s)


def _signal_group(group, sig):
    try:
        os.killpg(group, sig)
    except ProcessLookupError:
        pass


def wait_gone(pids, patience_s):
    end = time.monotonic() + patience_s
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def with_argument(text):
    """Live processes that have `text` somewhere in their command line: the shims that containerd leaves behind name its socket."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text.encode() in words and is_alive(entry):
            found.append(int(entry))
    return found


def tail(path, lines=15):
    """The last lines of a log, for messages of failure."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"
