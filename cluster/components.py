"""The command lines and configuration files of the cluster's programs."""
import json
import sys

from .settings import ADDRESS, BRIDGE, CGROUP, DOMAIN, NODE, NODE_PODS, PAUSE, PODS, SERVICES, source

ETCD_PORTS = (2379, 2380)


def _etcd(places, tools):
    client, peer = (f"http://127.0.0.1:{port}" for port in ETCD_PORTS)
    return [tools.etcd, "--name", "e", "--data-dir", places.etcd, "--unsafe-no-fsync", "--log-level", "warn",
            "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", f"e={peer}"]


def _apiserver(places, tools):
    pki = places.pki
    return [tools.kube / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{ETCD_PORTS[0]}",
            f"--bind-address={ADDRESS}", f"--advertise-address={ADDRESS}", "--secure-port=6443",
            f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key", f"--client-ca-file={pki}/ca.crt",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key", f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt", f"--kubelet-client-key={pki}/apiserver-kubelet.key",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            # Else logs, exec and port-forward look the node's name up, which no name server knows.
            "--kubelet-preferred-address-types=InternalIP",
            f"--requestheader-client-ca-file={pki}/front.crt", "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-", "--enable-aggregator-routing=true",
            f"--proxy-client-cert-file={pki}/proxy-client.crt", f"--proxy-client-key-file={pki}/proxy-client.key", "--profiling=false"]


def _controller_manager(places, tools):
    pki = places.pki
    config = f"{pki}/kcm.kubeconfig"
    return [tools.kube / "kube-controller-manager", f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            # It starts beside the apiserver, whose bootstrap RBAC may not be there yet.
            "--authentication-tolerate-lookup-failure=true",
            # The default limits make the first service account wait six seconds.
            "--kube-api-qps=500", "--kube-api-burst=1000",
            f"--service-account-private-key-file={pki}/sa.key", f"--root-ca-file={pki}/ca.crt", f"--client-ca-file={pki}/ca.crt",
            "--use-service-account-credentials=true", f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key", "--leader-elect=false", "--bind-address=127.0.0.1",
            "--allocate-node-cidrs=true", f"--cluster-cidr={PODS}", f"--service-cluster-ip-range={SERVICES}", "--profiling=false",
            # Else it makes a folder in the system's /usr/libexec.
            f"--flex-volume-plugin-dir={places.run}/volume-plugins"]


def _scheduler(places, tools):
    config = f"{places.pki}/scheduler.kubeconfig"
    return [tools.kube / "kube-scheduler", f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}", "--kube-api-qps=500", "--kube-api-burst=1000", "--leader-elect=false",
            "--bind-address=127.0.0.1", "--profiling=false"]


def _containerd(places, tools):
    return [tools.debian / "usr/bin/containerd", "-c", places.run / "containerd.toml"]


def _kubelet(places, tools):
    return [tools.kube / "kubelet", f"--config={places.run}/kubelet.yaml", f"--kubeconfig={places.pki}/kubelet-client.kubeconfig",
            f"--root-dir={places.run}/kubelet", f"--cert-dir={places.run}/kubelet-pki", f"--hostname-override={NODE}",
            f"--node-ip={ADDRESS}"]


def _proxy(places, tools):
    return [tools.kube / "kube-proxy", f"--config={places.run}/kube-proxy.yaml"]


def _coredns(places, tools):
    return [tools.coredns, "-conf", places.run / "Corefile"]


def _volume_keeper(places, _tools):
    return [sys.executable, "-m", "cluster.volumes", places.pki / "admin.kubeconfig", places.volumes]


ARGUMENTS = {
    "etcd": _etcd, "kube-apiserver": _apiserver, "kube-controller-manager": _controller_manager, "kube-scheduler": _scheduler,
    "containerd": _containerd, "kubelet": _kubelet, "kube-proxy": _proxy, "coredns": _coredns,
    "volume-keeper": _volume_keeper,
}


def arguments(name, places, tools):
    return ARGUMENTS[name](places, tools)


def environment(name, tools):
    """containerd finds its shim, and kube-proxy nft, on PATH."""
    if name == "containerd":
        return {"PATH": f"{tools.nft}:{tools.debian}/usr/bin:{tools.debian}/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
    if name == "kube-proxy":
        return {"PATH": f"{tools.nft}:/usr/sbin:/usr/bin:/sbin:/bin"}
    if name == "volume-keeper":
        return {"PYTHONPATH": str(source().parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return {}


def write_node_files(places, tools):
    run = places.run
    (run / "cni").mkdir(exist_ok=True)
    _write(run / "cni" / "10-endcap.conflist", {
        "cniVersion": "1.0.0", "name": "endcap", "plugins": [
            {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True,
             "ipam": {"type": "host-local", "dataDir": f"{run}/cni-addresses", "ranges": [[{"subnet": NODE_PODS}]],
                      "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "loopback"}]})
    (run / "containerd.toml").write_text(_containerd_toml(places, tools), encoding="utf-8")
    _write(run / "kubelet.yaml", _kubelet_config(places))
    _write(run / "kube-proxy.yaml", {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables", "clusterCIDR": PODS,
        "hostnameOverride": NODE, "clientConnection": {"kubeconfig": f"{places.pki}/kube-proxy.kubeconfig"},
        "nodePortAddresses": [f"{ADDRESS}/32"], "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
        # Zeros leave the machine's sysctls as they are.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}})
    (run / "Corefile").write_text(_corefile(places), encoding="utf-8")


def _write(path, value):
    """JSON is YAML."""
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _containerd_toml(places, tools):
    """For containerd 1.x (bookworm has 1.6); 2.x has another version of the file and other names of plugins."""
    run = places.run
    return f'''version = 2
root = "{run}/containerd"
state = "{run}/containerd-state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{places.containerd_socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{tools.nft}/runc"
        Root = "{run}/runc"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{tools.cni}"
    conf_dir = "{run}/cni"
'''


def _kubelet_config(places):
    pki = places.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": ADDRESS, "healthzBindAddress": "127.0.0.1", "readOnlyPort": 0,
        "tlsCertFile": f"{pki}/kubelet.crt", "tlsPrivateKeyFile": f"{pki}/kubelet.key",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": f"{pki}/ca.crt"}},
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{places.containerd_socket}",
        "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{CGROUP}", "failCgroupV1": False, "failSwapOn": False,
        "enforceNodeAllocatable": ["pods"], "makeIPTablesUtilChains": False,
        # A developer's disk that is 90 % full must not end the tests' pods.
        "evictionHard": {}, "imageGCHighThresholdPercent": 100,
        "clusterDNS": [ADDRESS], "clusterDomain": DOMAIN, "resolvConf": "",
        "podLogsDir": f"{places.run}/pod-logs", "volumePluginDir": f"{places.run}/volume-plugins",
        "kubeAPIQPS": 500, "kubeAPIBurst": 1000, "eventRecordQPS": 0, "serializeImagePulls": True,
        "syncFrequency": "10s", "nodeStatusUpdateFrequency": "5s", "logging": {"format": "text"},
    }


def _corefile(places):
    return f'''{DOMAIN}:53 in-addr.arpa:53 {{
    bind {ADDRESS}
    errors
    kubernetes {DOMAIN} in-addr.arpa {{
        kubeconfig {places.pki}/coredns.kubeconfig endcap
        pods insecure
        ttl 1
    }}
}}
.:53 {{
    bind {ADDRESS}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
'''
