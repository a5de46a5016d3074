"""A service to stop: answers at once at /fast, after a second at /slow, which it says in its log.

With LEAK it logs its secrets, as a driver might, and crashes: while it starts, or at /crash.
"""

import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from pydantic import SecretStr

from servicekit.app import create_app
from servicekit.server import serve
from servicekit.settings import ServiceSettings, load_settings

router = APIRouter()


@router.get("/fast")
def fast() -> str:
    return "fast"


@router.get("/slow")
def slow() -> str:
    print("slow has begun", flush=True)
    time.sleep(1)
    return "slow"


@router.get("/crash")
def crash(request: Request) -> str:
    raise ConnectionError(_everything(request.app.state.settings))


def _everything(settings: ServiceSettings) -> str:
    return " ".join(value.get_secret_value() for _, value in settings if isinstance(value, SecretStr))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if leak := os.environ.get("LEAK"):
        everything = _everything(app.state.settings)
        logging.getLogger("driver").info("connecting to %s", everything, extra={"address": everything})
        if leak == "at start":
            raise ConnectionError(everything)
    yield
    print("pools closed", flush=True)


if __name__ == "__main__":
    settings = load_settings(ServiceSettings)
    serve(
        create_app(
            settings, service="sample", title="Sample", description="", routers=[router], lifespan=lifespan
        ),
        settings,
    )
