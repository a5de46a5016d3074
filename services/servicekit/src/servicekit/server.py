"""Serves the application and stops without losing a request.

After SIGTERM:

1. Readiness answers 503 at once. Load balancers notice that late, so the server goes on taking requests for
   `drain_seconds`. Each answer says `Connection: close`, so that clients reconnect to another server.
2. It stops accepting connections. Keep-alive connections that sent nothing during the drain stay open for
   `keep_alive_linger_seconds`: a request may be on its way, and would be lost with the connection.
3. Requests in flight have `shutdown_grace_seconds` to finish. Then the application's pools close.

A second SIGTERM ends the waiting; SIGINT skips it.
"""

import asyncio
import logging
import signal
import socket
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from servicekit.logs import configure_logging
from servicekit.middleware import Lifecycle
from servicekit.settings import ServiceSettings

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.05


class DrainingServer(uvicorn.Server):
    """uvicorn with the stop described above."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, settings: ServiceSettings) -> None:
        super().__init__(config)
        self.lifecycle = lifecycle
        self.drain_seconds = settings.drain_seconds
        self.linger_seconds = settings.keep_alive_linger_seconds
        self._drain_ends: float | None = None
        self._hurry = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the signal handler. Unlike uvicorn's, does not raise the signal again: a stop that was
        asked for and went well is exit code 0."""
        self.lifecycle.draining = True
        if self._hurry:
            self.force_exit = True
        elif sig == signal.SIGINT or self._drain_ends is not None:
            self._hurry = self.should_exit = True
        else:
            self._drain_ends = time.monotonic() + self.drain_seconds

    async def on_tick(self, counter: int) -> bool:
        if self._drain_ends is not None and time.monotonic() >= self._drain_ends:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        linger_ends = time.monotonic() + self.linger_seconds
        while self.server_state.connections and time.monotonic() < linger_ends and not self._hurry:
            await asyncio.sleep(_POLL_SECONDS)
        await super().shutdown(sockets)


def serve(app: FastAPI, settings: ServiceSettings) -> None:
    """Serves until a signal ends it. Blocks; belongs in the main thread."""
    configure_logging(settings.log_level, settings.secrets())
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_grace_seconds,
    )
    server = DrainingServer(config, app.state.lifecycle, settings)
    server.run()
    log.info("stopped")
