"""A proxy before the API server: counts writes, and does to requests what a test wants to see survived."""
import http.client
import http.server
import json
import socketserver
import ssl
import threading
import time
import urllib.parse

WRITES = ("POST", "PUT", "PATCH", "DELETE")
# Written all the time, and no part of a reconcile.
UNCOUNTED = ("/leases", "/events")
HOP = ("connection", "transfer-encoding", "content-length", "host", "keep-alive")


class Proxy:
    """Listens on loopback. `before(request)` and `after(request)` may raise `Drop`, or return (status, body) to answer in place."""

    def __init__(self, server, ca):
        target = urllib.parse.urlsplit(server)
        self.host, self.port = target.hostname, target.port
        self.tls = ssl.create_default_context(cafile=str(ca))
        self.before = self.after = lambda request: None
        self.watch_line = lambda request, line: [line]
        self.lock = threading.Lock()
        self.writes, self.reads, self.last_write, self.log = 0, [], time.monotonic(), []
        outer = self

        class Handler(_Handler):
            proxy = outer

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address):
                pass

        self.listener = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.listener.server_address[1]}"
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def close(self):
        self.listener.shutdown()
        self.listener.server_close()

    def connection(self):
        return http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=330)


class Drop(Exception):
    """The connection breaks here."""


class Request:
    def __init__(self, method, path, number):
        self.method, self.path, self.number = method, path, number
        self.is_watch = "watch=true" in path or "watch=1" in path
        self.is_write = method in WRITES and not any(part in path for part in UNCOUNTED)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy = None

    def log_message(self, *_):
        pass

    def _go(self):
        proxy = self.proxy
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        request = Request(self.command, self.path, 0)
        if request.is_write:
            with proxy.lock:
                proxy.writes += 1
                request.number, proxy.last_write = proxy.writes, time.monotonic()
                proxy.log.append(f"{self.command} {self.path.split('?')[0]}")
        elif self.command == "GET" and not request.is_watch and "/leases" not in self.path:
            proxy.reads.append(self.path)
        try:
            in_place = proxy.before(request)
            if in_place is None:
                in_place = self._forward(request, body)
            if in_place is not None:
                self._answer(*in_place)
        except Drop:
            self.close_connection = True
            self.connection.close()
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _go

    def _forward(self, request, body):
        connection = self.proxy.connection()
        headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP and key.lower() != "accept-encoding"}
        connection.request(self.command, self.path, body=body or None, headers=headers)
        answer = connection.getresponse()
        if request.is_watch and answer.status == 200:
            self._stream(request, answer)
            return None
        data = answer.read()
        connection.close()
        instead = self.proxy.after(request)
        return instead or (answer.status, data, answer.getheader("content-type") or "application/json")

    def _answer(self, status, data, kind="application/json", headers=()):
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for key, value in headers:
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, request, answer):
        self.send_response(200)
        self.send_header("Content-Type", answer.getheader("content-type") or "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            line = answer.readline()
            if not line:
                break
            for one in self.proxy.watch_line(request, line):
                self.wfile.write(f"{len(one):x}\r\n".encode() + one + b"\r\n")
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def status(code, reason, message, **details):
    """An error as the API server writes it."""
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message, "details": details}
