"""A service to stop: answers at once at /fast, after a second at /slow, which it says in its log."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
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
