"""Up, down and status of the cluster of this recipe."""
import contextlib
import fcntl
import json
import shutil
import socket
import struct
import subprocess
import time

from . import api, build, clean, components, machine, objects, pki, processes, volumes
from .settings import (ADDRESS, AFTER_API_SERVER, CONTROL_PLANE, DOMAIN, KUBERNETES_SERVICE, NODE, NODE_ONLY, PAUSE, PROFILES, SERVER, STOPPABLE,
                       Failed, Missing, cache, say)

RUNNING, STOPPED, DEAD = "running", "stopped", "dead"


@contextlib.contextmanager
def lock():
    """One change at a time: two `up`s beside each other would clean each other away."""
    path = cache() / "cluster" / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "w", encoding="utf-8")
    except OSError as error:
        raise Missing(f"the cache cannot be written ({error}): set ENDCAP_CACHE to a folder of yours") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another `cluster` command is at work: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load(places):
    try:
        return json.loads(places.state.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _save(places, state):
    part = places.state.with_suffix(".part")
    part.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    part.rename(places.state)


def health(places, state):
    """{component: running | stopped (by stop-component) | dead}"""
    found = {}
    for name in PROFILES[state["profile"]]:
        alive = processes.pid_of(places, name) is not None
        found[name] = RUNNING if alive else STOPPED if name in state.get("stopped", []) else DEAD
    return found


def facts(places, state):
    """What a caller needs to use the cluster."""
    return {"kubeconfig": str(places.kubeconfig), "profile": state["profile"], "server": SERVER, "ca": str(places.pki / "ca.crt"),
            "node": NODE if state["profile"] == "node" else None, "name": places.name, "kind": "recipe"}


def up(places, profile):
    began = time.monotonic()
    _refuse_another(places)
    state = load(places)
    if state or places.run.exists():
        ready = state is not None and _as_it_should_be(places, state)
        if ready and set(PROFILES[profile]) <= set(PROFILES[state["profile"]]):
            say(f"{places.name} is up already, profile {state['profile']}")
            return facts(places, state)
        if ready:
            return _add_node(places, state, began)
        say(f"{places.name} is there but half dead: it is cleaned and started again")
        clean.clean(places, (state or {}).get("before", {}))
    machine.check(places, profile, build.lacking(profile))
    tools = build.all_of(profile)
    began = time.monotonic()
    shutil.rmtree(places.etcd, ignore_errors=True)
    places.run.mkdir(parents=True)
    state = {"profile": profile, "stopped": [], "before": machine.snapshot()}
    _save(places, state)
    try:
        machine.change()
        pki.make(places)
        if profile == "node":
            _prepare_node(places, tools)
        for name in PROFILES[profile]:
            if name not in AFTER_API_SERVER:
                _start(places, tools, name)
        _wait_control_plane(places)
        _apply(places, objects.control_plane())
        if profile == "node":
            _finish_node(places, tools)
        shutil.copyfile(places.pki / "admin.kubeconfig", places.kubeconfig)
        places.kubeconfig.chmod(0o600)
    except BaseException:
        _keep_logs(places)
        clean.clean(places, state["before"])
        raise
    say(f"{places.name} is up, profile {profile}, in {time.monotonic() - began:.1f} s: kubectl --kubeconfig {places.kubeconfig}")
    return facts(places, state)


def down(places):
    state = load(places)
    if state is None and not places.run.exists():
        say(f"{places.name} is not up")
        return
    began = time.monotonic()
    clean.clean(places, (state or {}).get("before", {}))
    say(f"{places.name} is down, in {time.monotonic() - began:.1f} s")


def _refuse_another(places):
    for other in sorted((cache() / "cluster").glob("*/state.json")):
        if other.parent.name != places.name:
            raise Failed(f"cluster {other.parent.name} is up, and one at a time has the address {ADDRESS}: "
                         f"python3 -m cluster down --name {other.parent.name}")


def _as_it_should_be(places, state):
    """All of it alive and answering. What `stop-component` stopped is started again."""
    found = health(places, state)
    if DEAD in found.values() or not places.kubeconfig.exists():
        return False
    for name, condition in found.items():
        if condition == STOPPED:
            say(f"{name} was stopped by stop-component: it is started")
            start_component(places, name)
    return api.Api(places.kubeconfig).is_ready()


def _add_node(places, state, began):
    say(f"{places.name} is up without a node: the node is added")
    machine.check_rights(places, build.lacking("node"))
    tools = build.all_of("node")
    state["profile"] = "node"
    _save(places, state)
    _prepare_node(places, tools)
    for name in NODE_ONLY:
        if name not in AFTER_API_SERVER:
            _start(places, tools, name)
    _finish_node(places, tools)
    say(f"{places.name} is up, profile node, in {time.monotonic() - began:.1f} s more")
    return facts(places, state)


def _start(places, tools, name):
    processes.start(places, name, components.arguments(name, places, tools), components.environment(name, tools))


def _prepare_node(places, tools):
    machine.make_cgroups()
    volumes.make_folders(places.volumes)
    components.write_node_files(places, tools)


def _explain(places):
    """For a wait that failed: which component is dead, and its last words."""
    dead = [name for name, condition in health(places, load(places)).items() if condition == DEAD]
    words = [f"{name} has ended; its last words:\n{processes.tail(places.logs / f'{name}.log')}" for name in dead]
    return "\n".join(words) or f"Logs: {places.root}/last-failure"


def _wait(places, what, done, patience_s=90):
    api.wait(what, done, patience_s, lambda: _explain(places))


def _wait_control_plane(places):
    client = api.Api(places.pki / "admin.kubeconfig")
    _wait(places, "the API server's readiness", client.is_ready)
    _wait(places, "the default service account", lambda: client.get("/api/v1/namespaces/default/serviceaccounts/default"))


def _apply(places, wanted):
    client = api.Api(places.pki / "admin.kubeconfig")
    for path, value in wanted:
        client.apply(path, value)


def _finish_node(places, tools):
    client = api.Api(places.pki / "admin.kubeconfig")
    _wait(places, "containerd's socket", places.containerd_socket.exists)
    import_images(places, [tools.pause], tools)
    _apply(places, objects.node(places))
    for name in AFTER_API_SERVER:
        _start(places, tools, name)
    _wait(places, f"readiness of {NODE}", lambda: _node_is_ready(client))
    _wait(places, "the service network", _service_network_works)
    _wait(places, "cluster DNS", _dns_works)


def _node_is_ready(client):
    node = client.get(f"/api/v1/nodes/{NODE}")
    if not node or node["spec"].get("taints"):
        return False
    return any(row["type"] == "Ready" and row["status"] == "True" for row in node["status"].get("conditions", []))


def _service_network_works():
    try:
        with socket.create_connection((KUBERNETES_SERVICE, 443), timeout=1):
            return True
    except OSError:
        return False


def _dns_works():
    """Asks the cluster's name server for the one Service that is always there."""
    labels = f"kubernetes.default.svc.{DOMAIN}".split(".")
    question = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.5)
        try:
            asking.sendto(struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + question, (ADDRESS, 53))
            answer = asking.recv(512)
        except OSError:
            return False
    _, flags, _, answers, _, _ = struct.unpack(">HHHHHH", answer[:12])
    return flags & 0xF == 0 and answers > 0


def _keep_logs(places):
    kept = places.root / "last-failure"
    shutil.rmtree(kept, ignore_errors=True)
    if places.logs.exists():
        shutil.copytree(places.logs, kept)


def import_images(places, archives, tools=None):
    """Puts OCI archives into the node's image store."""
    tools = tools or build.all_of("node")
    for archive in archives:
        done = subprocess.run([tools.ctr, "-a", places.containerd_socket, "-n", "k8s.io", "images", "import", archive],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"failed to import {archive}: {done.stderr.strip() or done.stdout.strip()}")
        if archive != tools.pause:
            say(f"imported {archive}: {', '.join(line.split()[1] for line in done.stdout.splitlines() if line.startswith('unpacking'))}")


def _state_for(places, name):
    if name not in STOPPABLE:
        raise Failed(f"{name} cannot be stopped alone: {', '.join(STOPPABLE)} can")
    state = load(places)
    if state is None:
        raise Failed(f"{places.name} is not up: python3 -m cluster up")
    if name not in PROFILES[state["profile"]]:
        raise Failed(f"{name} is not in profile {state['profile']}: python3 -m cluster up --profile node")
    return state


def stop_component(places, name):
    """Ends it at once, as a crash would; pods go on."""
    state = _state_for(places, name)
    state["stopped"] = sorted({*state["stopped"], name})
    _save(places, state)
    processes.stop(places, [name], processes.signal.SIGKILL)
    say(f"{name} is stopped")


def start_component(places, name):
    state = _state_for(places, name)
    if processes.pid_of(places, name) is None:
        _start(places, build.all_of(state["profile"]), name)
    state["stopped"] = [other for other in state["stopped"] if other != name]
    _save(places, state)
    client = api.Api(places.kubeconfig)
    if name in CONTROL_PLANE and not state["stopped"]:
        _wait(places, "the API server's readiness", client.is_ready)
    if name == "kubelet" and "kube-apiserver" not in state["stopped"]:
        _wait(places, f"readiness of {NODE}", lambda: _node_is_ready(client))
    if name == "coredns" and "kube-apiserver" not in state["stopped"]:
        _wait(places, "cluster DNS", _dns_works)
    time.sleep(0.3)
    if processes.pid_of(places, name) is None:
        raise Failed(f"{name} ended at once; its last words:\n{processes.tail(places.logs / f'{name}.log')}")
    say(f"{name} runs")


def image_names(places):
    """What the node has."""
    tools = build.all_of("node")
    done = subprocess.run([tools.ctr, "-a", places.containerd_socket, "-n", "k8s.io", "images", "ls", "-q"],
                          capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if not line.startswith("sha256:") and line != PAUSE]
