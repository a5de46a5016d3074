"""The addresses that orchestrators and monitoring ask: health, version, metrics."""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Literal

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from servicekit.middleware import Lifecycle
from servicekit.settings import ServiceSettings

log = logging.getLogger(__name__)

CHECK_TIMEOUT_SECONDS = 2.0

Check = Callable[[], str | None]
"""Raises when the part that it checks does not work; may say what is there. Runs in a thread."""


class CheckResult(BaseModel):
    ok: bool
    latency_ms: float
    error: str | None = None
    detail: str | None = None


class Readiness(BaseModel):
    """`degraded` still takes requests: what failed is something the service can do without."""

    status: Literal["ready", "degraded", "not ready"]
    checks: dict[str, CheckResult]


class Liveness(BaseModel):
    status: Literal["live"] = "live"


class Version(BaseModel):
    service: str
    version: str
    revision: str
    environment: str


def health_router(
    settings: ServiceSettings,
    service: str,
    lifecycle: Lifecycle,
    checks: Mapping[str, Check],
    optional_checks: Collection[str],
) -> APIRouter:
    """The routes /health/live, /health/ready, /version and /metrics."""
    router = APIRouter(tags=["operations"])
    # Probes have threads of their own: a service busy with requests must still be able to say that it lives.
    threads = anyio.CapacityLimiter(max(1, 2 * len(checks)))

    @router.get("/health/live", summary="Does the process serve?")
    async def live() -> Liveness:
        return Liveness()

    @router.get(
        "/health/ready",
        summary="Should this process get requests?",
        response_model_exclude_none=True,
        responses={503: {"model": Readiness, "description": "Not ready, or draining"}},
    )
    async def ready(response: Response) -> Readiness:
        results: dict[str, CheckResult] = {}
        async with anyio.create_task_group() as tasks:
            for name, check in checks.items():
                tasks.start_soon(_run_check, name, check, threads, results)
        results = {name: results[name] for name in checks}
        response.headers["Cache-Control"] = "no-store"
        failed = {name for name, result in results.items() if not result.ok}
        if lifecycle.draining or failed - set(optional_checks):
            response.status_code = 503
            return Readiness(status="not ready", checks=results)
        return Readiness(status="degraded" if failed else "ready", checks=results)

    @router.get("/version", summary="What runs here?")
    async def version() -> Version:
        return Version(
            service=service,
            version=settings.service_version,
            revision=settings.service_revision,
            environment=settings.environment,
        )

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response, include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


async def _run_check(
    name: str, check: Check, threads: anyio.CapacityLimiter, results: dict[str, CheckResult]
) -> None:
    started = time.perf_counter()
    error: str | None = None
    detail: str | None = None
    try:
        with anyio.fail_after(CHECK_TIMEOUT_SECONDS):
            detail = await run_sync(partial(check), abandon_on_cancel=True, limiter=threads)
    except Exception as failure:
        # The class is enough for whoever asks; messages of drivers name hosts and users, and go to the log.
        error = type(failure).__name__
        log.warning("check failed: %s", name, exc_info=failure)
    milliseconds = round((time.perf_counter() - started) * 1000, 1)
    results[name] = CheckResult(ok=error is None, latency_ms=milliseconds, error=error, detail=detail)
