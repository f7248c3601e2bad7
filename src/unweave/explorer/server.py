"""The application behind the standard library's HTTP server, with bounds: who may ask, how much, how long, how many."""

from __future__ import annotations

import ipaddress
import socket
import socketserver
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from unweave.explorer.app import BODY, POLICY, App, Reply, Request, error
from unweave.types import UserError

PATIENCE = 30
"""Seconds that a silent connection is kept."""
CROWD = 64
"""Connections at a time; more are closed at once."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Server(ThreadingHTTPServer):
    """Serves an application until it is closed.

    Args:
        app: what answers.
        host: the address to listen on; loopback, so that only this machine can ask, unless told otherwise.
        port: 0 takes a free one.

    Raises:
        UserError: an address or a port that cannot be had.
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, app: App, host: str = "127.0.0.1", port: int = 0) -> None:
        self.app = app
        self.host = host
        self.places = threading.BoundedSemaphore(CROWD)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as why:
            reason = getattr(why, "strerror", None) or why
            raise UserError(
                f"cannot listen on {host}, port {port}: {reason}; allowed: a free port, 0 for any"
            ) from None

    def server_bind(self) -> None:
        """Without the look-up of a name, which may take long where there is no network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host, int(self.server_address[1])

    @property
    def address(self) -> str:
        """Where the page is."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """One thread a connection, and no more than ``CROWD`` of them."""
        if not self.places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A visitor who leaves in the middle of an answer is no error."""

    def welcomes(self, host: str) -> bool:
        """Whether a page that was opened under this name may ask.

        Elsewhere on the web a name may be made to point at this machine; a browser then tells that name.
        """
        with suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            if name in ("localhost", self.host.strip("[]")):
                return True
            loopback = ipaddress.ip_address(self.host).is_loopback if self.host != "localhost" else True
            if loopback:
                return ipaddress.ip_address(name).is_loopback
            if name == socket.gethostname().lower():
                return True
            return bool(ipaddress.ip_address(name))
        return False


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "unweave", ""
    timeout = PATIENCE
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a question."""
        # What follows a question that should bring nothing along would be taken for the next one.
        brought = self.headers.get("Content-Length", "0") != "0" or self.headers.get("Transfer-Encoding")
        self.close_connection = self.close_connection or bool(brought)
        self._answer("GET", b"")

    def do_POST(self) -> None:
        """Answer a question that brings something along."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or self.headers.get("Transfer-Encoding"):
            self._refuse(411, "the length of what is sent must be told")
        elif len(length) > 18:
            self._refuse(400, "the length of what is sent cannot be read")
        elif int(length) > BODY:
            self._refuse(413, f"the upload has {int(length) / 1e6:.0f} MB; allowed: {BODY >> 20} MiB")
        else:
            self._answer("POST", self.rfile.read(int(length)))

    def log_message(self, *words: Any) -> None:
        """Visits are not written down."""

    def _answer(self, verb: str, body: bytes) -> None:
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if not self.server.welcomes(host):
            self._refuse(421, "this server answers to its own address only")
            return
        try:
            foreign = origin is not None and urlsplit(origin).netloc != host
        except ValueError:
            foreign = True
        if foreign:
            self._refuse(403, "another site's page may not ask")
            return
        try:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, max_num_fields=20))
        except ValueError:
            self._refuse(400, "this address cannot be read")
            return
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        try:
            found = self.server.app.answer(Request(verb, parts.path, query, kind, body))
        except Exception as why:  # whatever a model makes of odd codes: the next question is answered all the same
            found = error(500, f"this could not be computed ({type(why).__name__})")
        self._send(found)

    def _refuse(self, status: int, why: str) -> None:
        # What was sent is read, up to a point, so that the sender is there to hear the answer.
        self.close_connection = True
        self._send(error(status, why))
        if status == 413:
            self.connection.settimeout(5)
            with suppress(OSError):
                for _ in range(4 * BODY >> 16):
                    if not self.rfile.read(1 << 16):
                        break

    def _send(self, found: Reply) -> None:
        self.send_response(found.status)
        for name, value in {**HEADERS, **found.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", found.kind)
        self.send_header("Content-Length", str(len(found.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(found.body)
