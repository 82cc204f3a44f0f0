"""A small client of the API server, for what the tool itself asks and applies: starting kubectl takes longer than the whole question."""
import base64
import json
import ssl
import tempfile
import time
import urllib.error
import urllib.request

from .settings import Failed

MANAGER = "endcap-cluster"


class Api:
    def __init__(self, kubeconfig, timeout_s=5):
        config = json.loads(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server, self.timeout_s = cluster["server"], timeout_s
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.context = ssl.create_default_context(cadata=authority)
        # The ssl module takes a client's key from a file only.
        with tempfile.NamedTemporaryFile("wb") as file:
            file.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            file.flush()
            self.context.load_cert_chain(file.name)
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context))

    def call(self, method, path, body=None, content_type="application/json"):
        """(HTTP status, decoded answer); status 0 when nobody answers."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.server + path, data=data, method=method, headers={"Content-Type": content_type})
        try:
            with self.opener.open(request, timeout=self.timeout_s) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        except OSError as error:
            return 0, str(error)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text.decode(errors="replace")

    def get(self, path):
        """The object, or None."""
        status, answer = self.call("GET", path)
        return answer if status == 200 else None

    def watch(self, path, timeout_s=300):
        """Events of a list from now on, each {type, object}; ends after `timeout_s`, or when the server does."""
        request = urllib.request.Request(f"{self.server}{path}?watch=true&timeoutSeconds={timeout_s}")
        with self.opener.open(request, timeout=timeout_s + 10) as answer:
            for line in answer:
                yield json.loads(line)

    def is_ready(self):
        return self.call("GET", "/readyz")[0] == 200

    def apply(self, path, value):
        """Server-side apply."""
        status, answer = self.call("PATCH", f"{path}?fieldManager={MANAGER}&force=true", value, "application/apply-patch+yaml")
        if status not in (200, 201):
            raise Failed(f"failed to apply {path}: HTTP {status} {answer}")


def wait(what, done, patience_s, explain=lambda: ""):
    """Asks until `done()`; a failure names what was waited for."""
    end = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > end:
            raise Failed(f"{what} did not come within {patience_s} s. {explain()}")
        time.sleep(0.1)
