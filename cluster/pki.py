"""Keys and certificates, made by openssl (P-256, 0.3 s in all), and the kubeconfigs that hold them."""
import base64
import hashlib
import json
import os
import subprocess

from .settings import ADDRESS, DOMAIN, KUBERNETES_SERVICE, NODE, SERVER, Failed

# file name: (common name, organization). Who may do what is Kubernetes' own bootstrap RBAC.
CLIENTS = {
    "admin": ("endcap-admin", "system:masters"),
    "kcm": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "kubelet-client": (f"system:node:{NODE}", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", None),
    "coredns": ("endcap-coredns", None),
    "apiserver-kubelet": ("kube-apiserver-kubelet-client", "system:masters"),
}
WITH_KUBECONFIG = ("admin", "kcm", "scheduler", "kubelet-client", "kube-proxy", "coredns")


def _openssl(*words, stdin=None):
    done = subprocess.run(["openssl", *map(str, words)], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"openssl {words[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _key(path):
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    os.chmod(path, 0o600)


def _authority(folder, name):
    _key(folder / f"{name}.key")
    _openssl("req", "-x509", "-new", "-sha256", "-days", "365", "-key", folder / f"{name}.key", "-subj", f"/CN=endcap-{name}",
             "-out", folder / f"{name}.crt")


def _subject(common_name, organizations):
    escaped = [text.replace("\\", "\\\\").replace("/", "\\/").replace("+", "\\+") for text in (*organizations, common_name)]
    return "".join(f"/O={text}" for text in escaped[:-1]) + f"/CN={escaped[-1]}"


def _certificate(folder, name, common_name, organizations=(), names=None, authority="ca", out=None):
    """`names`: subject alternative names; given for servers."""
    out = out or folder
    wanted = request(out / f"{name}.key", common_name, organizations)
    usage = "serverAuth" if names else "clientAuth"
    extensions = f"keyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n"
    if names:
        extensions += f"subjectAltName={','.join(names)}\n"
    extension_file = out / f"{name}.ext"
    extension_file.write_text(extensions, encoding="utf-8")
    serial = "0x" + os.urandom(15).hex()
    _openssl("x509", "-req", "-sha256", "-days", "365", "-CA", folder / f"{authority}.crt", "-CAkey", folder / f"{authority}.key",
             "-set_serial", serial, "-extfile", extension_file, "-out", out / f"{name}.crt", stdin=wanted)
    extension_file.unlink()


def make(places):
    folder = places.pki
    folder.mkdir(parents=True, mode=0o700)
    _authority(folder, "ca")
    _authority(folder, "front")
    _key(folder / "sa.key")
    _openssl("ec", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub")
    api_names = [f"DNS:{name}" for name in ("kubernetes", "kubernetes.default", "kubernetes.default.svc",
                                            f"kubernetes.default.svc.{DOMAIN}", "localhost")]
    api_names += [f"IP:{address}" for address in ("127.0.0.1", ADDRESS, KUBERNETES_SERVICE)]
    _certificate(folder, "apiserver", "kube-apiserver", names=api_names)
    _certificate(folder, "kubelet", f"system:node:{NODE}", names=[f"DNS:{NODE}", f"IP:{ADDRESS}"])
    for name, (common_name, organization) in CLIENTS.items():
        _certificate(folder, name, common_name, (organization,) if organization else ())
    _certificate(folder, "proxy-client", "front-proxy-client", authority="front")
    for name in WITH_KUBECONFIG:
        write_kubeconfig(places, folder / f"{name}.kubeconfig", folder, name)


def _inline(path):
    return base64.b64encode(path.read_bytes()).decode()


def write_kubeconfig(places, path, folder, name):
    """Everything inline, so that the one file can be handed on. JSON is YAML."""
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "endcap",
        "clusters": [{"name": "endcap", "cluster": {"server": SERVER, "certificate-authority-data": _inline(places.pki / "ca.crt")}}],
        "contexts": [{"name": "endcap", "context": {"cluster": "endcap", "user": name}}],
        "users": [{"name": name, "user": {"client-certificate-data": _inline(folder / f"{name}.crt"),
                                          "client-key-data": _inline(folder / f"{name}.key")}}],
    }
    path.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    os.chmod(path, 0o600)


def request(key, common_name, organizations):
    """A signing request for a new key, which is written to `key`."""
    _key(key)
    return _openssl("req", "-new", "-sha256", "-key", key, "-subj", _subject(common_name, organizations))


def file_name(name, groups):
    """A user's name may hold colons and slashes, and the same one may be asked for with other groups."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
    return plain + "-" + hashlib.sha256("\0".join((name, *groups)).encode()).hexdigest()[:8]


def user(places, name, groups):
    """A client certificate for that user of these groups; returns the path of its kubeconfig."""
    if not (places.pki / "ca.key").exists():
        raise Failed(f"cluster {places.name} is not up: python3 -m cluster up")
    places.users.mkdir(exist_ok=True, mode=0o700)
    plain = file_name(name, groups)
    _certificate(places.pki, plain, name, groups, out=places.users)
    path = places.users / f"{plain}.kubeconfig"
    write_kubeconfig(places, path, places.users, plain)
    return path
