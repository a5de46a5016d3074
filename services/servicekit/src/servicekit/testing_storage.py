"""An S3 store for tests: moto in a process, and a proxy that refuses or holds requests as a store may.

moto does not compare checksums with what it is sent: that damage is found is for servicekit to show.
"""

import http.client
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

from servicekit.testing import free_port, get_status, wait_until

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "only-for-tests-7f3a",
    "AWS_DEFAULT_REGION": "us-east-1",
}
_START_SECONDS = 120.0


@contextmanager
def running_moto(log: Path) -> Iterator[int]:
    """The port of a moto server."""
    port = free_port()
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "--port", str(port)], stdout=output, stderr=output
        )
        try:
            wait_until(lambda: get_status(port, "/moto-api/") != 0, _START_SECONDS)
            yield port
        finally:
            process.kill()
            process.wait()


@dataclass
class Refusal:
    """How a store refuses a request."""

    status: int
    code: str


@dataclass
class Bucket:
    """A bucket of a test's own, reached through a proxy."""

    name: str
    endpoint: str
    # Decides for each request, by its method and path, whether the store refuses it.
    refuse: Callable[[str, str], Refusal | None] = lambda method, path: None
    # Paths for which the store does not answer until the event is set.
    held: str = ""
    release: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)

    @property
    def location(self) -> str:
        """What `--backup` takes."""
        return f"s3://{self.name}/service"

    def client(self) -> Any:
        """boto3's client, past the faults of the proxy."""
        return boto3.client("s3", endpoint_url=self.endpoint)

    def keys(self) -> list[str]:
        """All objects."""
        found = self.client().list_objects_v2(Bucket=self.name)
        return [each["Key"] for each in found.get("Contents", [])]

    def read(self, key: str) -> bytes:
        """The content of an object."""
        data = self.client().get_object(Bucket=self.name, Key=key)["Body"].read()
        assert isinstance(data, bytes)
        return data

    def write(self, key: str, data: bytes) -> None:
        """Replaces an object."""
        self.client().put_object(Bucket=self.name, Key=key, Body=data)


@contextmanager
def bucket_behind_proxy(moto_port: int, name: str) -> Iterator[Bucket]:
    """A new bucket."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if bucket.held and self.command == "PUT" and bucket.held in self.path:
                bucket.arrived.set()
                bucket.release.wait(600)
            if refusal := bucket.refuse(self.command, self.path):
                answer = f"<Error><Code>{refusal.code}</Code><Message>refused by the test</Message></Error>"
                self._answer(refusal.status, [("Content-Type", "application/xml")], answer.encode())
                return
            connection = http.client.HTTPConnection("127.0.0.1", moto_port, timeout=600)
            # boto3 waits for this before it sends a body, and moto's server answers it itself.
            headers = {name: value for name, value in self.headers.items() if name != "Expect"}
            connection.request(self.command, self.path, body, headers)
            found = connection.getresponse()
            data = found.read()
            kept = [
                (name, value)
                for name, value in found.getheaders()
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server")
            ]
            length = found.getheader("Content-Length") if self.command == "HEAD" else None
            self._answer(found.status, kept, data, length)
            connection.close()

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _forward

        def _answer(
            self, status: int, headers: list[tuple[str, str]], body: bytes, length: str | None = None
        ) -> None:
            self.send_response(status)
            for header in headers:
                self.send_header(*header)
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                # The client was killed.
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    bucket = Bucket(name, f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        bucket.client().create_bucket(Bucket=name)
        yield bucket
    finally:
        bucket.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
