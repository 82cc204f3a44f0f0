"""Which connections pods really make, as the kernel's connection tracking sees them, and what NetworkPolicies say of them."""
import collections
import ipaddress
import re
import subprocess
import threading
import time

from cluster.settings import PODS

from ..harness import tool

EVENT = re.compile(r"\[(\d+\.\d+)\].*\[NEW\] tcp .*?src=(\S+) dst=\S+ sport=\d+ dport=\d+ .*?src=(\S+) dst=\S+ sport=(\d+)")
# A pod connects before the API server knows its address, and is seen a moment after it has gone.
BEFORE_S, AFTER_S = 15, 10
COMPONENT, MODEL_LABEL = "app.kubernetes.io/component", "endcap.dev/model"


class Known:
    """A pod that had an address for some time."""

    def __init__(self, item, now):
        self.namespace, self.name, self.labels = item["metadata"]["namespace"], item["metadata"]["name"], item["metadata"].get("labels", {})
        self.first = self.last = now

    @property
    def component(self):
        return self.labels.get(COMPONENT, self.name)


class Connections:
    """Listens from now on; who had which address is asked twice a second."""

    def __init__(self, api, folder):
        self.api, self.pods, self.ended = api, collections.defaultdict(list), threading.Event()
        self.file = folder / "connections.txt"
        self.out = self.file.open("wb")
        self.errors = (folder / "connections.log").open("wb")
        words = [tool("conntrack"), "-E", "-p", "tcp", "-e", "NEW", "-o", "timestamp", "-b", str(8 << 20)]
        self.child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.errors)
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def is_listening(self):
        return self.child.poll() is None

    def _look(self):
        while not self.ended.wait(0.5):
            found = self.api.get("/api/v1/pods")
            now = time.time()
            for item in (found or {}).get("items", []):
                address = item.get("status", {}).get("podIP")
                if not address or item["spec"].get("hostNetwork"):
                    continue
                known = [one for one in self.pods[address] if (one.namespace, one.name) == (item["metadata"]["namespace"], item["metadata"]["name"])]
                if known:
                    known[0].last = now
                else:
                    self.pods[address].append(Known(item, now))

    def close(self):
        self.ended.set()
        self.child.terminate()
        self.child.wait(10)
        self.out.close()
        self.errors.close()

    def who(self, address, at):
        """The pod that had this address then; None for what is no pod."""
        near = [one for one in self.pods.get(address, []) if one.first - BEFORE_S <= at <= one.last + AFTER_S]
        return max(near, key=lambda one: one.first) if near else None

    def seen(self):
        """{(from, to, port): times}, from and to as pods or addresses; what the node itself asks (probes, this test) is left out."""
        network, counts, strangers = ipaddress.ip_network(PODS), collections.Counter(), collections.Counter()
        for line in self.file.read_text(errors="replace").splitlines():
            match = EVENT.search(line)
            if not match:
                continue
            # The answer's source is where the connection really went, behind the Service's address.
            at, source, target, port = float(match[1]), match[2], match[3], int(match[4])
            if ipaddress.ip_address(source) not in network or source == str(network.network_address + 1):
                continue
            one, other = self.who(source, at), self.who(target, at)
            if one is None or (other is None and ipaddress.ip_address(target) in network):
                # An address of pods that nobody had: somebody asks for one that has just gone.
                strangers[(one.component if one else source, target, port)] += 1
                continue
            counts[(one, other or target, port)] += 1
        return counts, strangers


class Policies:
    """What the NetworkPolicies of some namespaces allow, as the API defines it."""

    def __init__(self, policies, namespaces):
        self.policies, self.namespaces = policies, {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in namespaces}

    def of(self, pod, direction):
        return [one for one in self.policies if one["metadata"]["namespace"] == pod.namespace
                and direction in one["spec"].get("policyTypes", ["Ingress"]) and selects(one["spec"]["podSelector"], pod.labels)]

    def allows(self, source, target, port):
        """Whether a pod may open a connection to a pod, or to an address outside."""
        out = self.of(source, "Egress")
        is_out = not out or any(self.matches(rule, "to", target, port, one) for one in out for rule in one["spec"].get("egress") or [])
        if isinstance(target, str):
            return is_out
        into = self.of(target, "Ingress")
        return is_out and (not into or any(self.matches(rule, "from", source, port, one) for one in into for rule in one["spec"].get("ingress") or []))

    def matches(self, rule, side, other, port, policy):
        ports = rule.get("ports")
        if ports and not any(one.get("protocol", "TCP") == "TCP" and one.get("port", port) <= port <= one.get("endPort", one.get("port", port)) for one in ports):
            return False
        peers = rule.get(side)
        return not peers or any(self.is_peer(peer, other, policy["metadata"]["namespace"]) for peer in peers)

    def is_peer(self, peer, other, home):
        if "ipBlock" in peer:
            address = ipaddress.ip_address(other) if isinstance(other, str) else None
            inside = address and address in ipaddress.ip_network(peer["ipBlock"]["cidr"])
            return bool(inside) and not any(address in ipaddress.ip_network(one) for one in peer["ipBlock"].get("except", []))
        if isinstance(other, str):
            return False
        if "namespaceSelector" in peer:
            is_near = selects(peer["namespaceSelector"], self.namespaces.get(other.namespace, {}))
        else:
            is_near = other.namespace == home
        return is_near and ("podSelector" not in peer or selects(peer["podSelector"], other.labels))

    def pairs(self, pods):
        """(from, to, port) of every ingress rule that names a component; rules for callers name none."""
        found = set()
        for policy in self.policies:
            target = policy["spec"]["podSelector"].get("matchLabels", {})
            if MODEL_LABEL not in target:
                continue
            for rule in policy["spec"].get("ingress") or []:
                for peer in rule.get("from") or []:
                    if not peer.get("podSelector", {}).get("matchLabels"):
                        continue
                    named = {pod.component for pod in pods if self.is_peer(peer, pod, policy["metadata"]["namespace"])}
                    found |= {(name, target[COMPONENT], port["port"]) for name in named for port in rule["ports"]}
        return found


def selects(selector, labels):
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(_holds(one, labels) for one in selector.get("matchExpressions") or [])


def _holds(expression, labels):
    key, operator, values = expression["key"], expression["operator"], expression.get("values", [])
    return {"In": labels.get(key) in values, "NotIn": labels.get(key) not in values, "Exists": key in labels, "DoesNotExist": key not in labels}[operator]
