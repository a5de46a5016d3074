"""The FastAPI application with all that the platform expects of a service."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from servicekit import metrics
from servicekit.auth import TokenService
from servicekit.docs import add_docs
from servicekit.health import Check, health_router
from servicekit.middleware import BodyLimitMiddleware, Lifecycle, ObservabilityMiddleware
from servicekit.problems import MEDIA_TYPE, LastResortMiddleware, ProblemDocument, install_problem_handlers
from servicekit.ratelimit import Limiter
from servicekit.settings import ServiceSettings
from servicekit.visits import visits_router

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    settings: ServiceSettings,
    *,
    service: str,
    title: str,
    description: str,
    routers: Sequence[APIRouter] = (),
    checks: Mapping[str, Check] | None = None,
    optional_checks: Collection[str] = ("redis",),
    lifespan: Lifespan | None = None,
    api_prefix: str = "/api",
    api_version: str = "1.0.0",
) -> FastAPI:
    """Builds the application.

    `checks` decide readiness; when one in `optional_checks` fails, the service is degraded but ready.
    `lifespan` opens and closes what belongs to the service. The state has `settings`, `lifecycle`, `tokens`
    and `limiter`. The documentation is at `{api_prefix}/docs`, but not in production; it describes
    `api_version`, whatever build serves it. Names of endpoint functions are operation ids, so they must
    differ.
    """
    lifecycle = Lifecycle()
    limiter = Limiter(settings)

    @asynccontextmanager
    async def whole_lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Synchronous endpoints run in these threads. More threads than database connections leave some for
        # answers from the cache; those that wait for a connection give up after DB_POOL_TIMEOUT_SECONDS.
        current_default_thread_limiter().total_tokens = settings.worker_threads
        try:
            if lifespan is None:
                yield
            else:
                async with lifespan(app):
                    yield
        finally:
            limiter.close()

    documented = settings.environment != "production"
    app = FastAPI(
        title=title,
        description=description,
        version=api_version,
        openapi_url=f"{api_prefix}/openapi.json" if documented else None,
        # FastAPI's own pages load scripts from another site.
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        lifespan=whole_lifespan,
    )
    app.state.settings = settings
    app.state.lifecycle = lifecycle
    app.state.limiter = limiter
    app.state.tokens = TokenService(settings)
    metrics.APP_INFO.labels(service, settings.service_version, settings.service_revision).set(1)

    install_problem_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes)
    app.add_middleware(LastResortMiddleware)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "If-None-Match", "X-Request-ID"],
            expose_headers=["ETag", "Location", "Retry-After", "X-Request-ID"],
        )
    app.add_middleware(ObservabilityMiddleware, lifecycle=lifecycle)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))

    app.include_router(health_router(settings, service, lifecycle, checks or {}, optional_checks))
    for router in [*routers, visits_router(f"{api_prefix}/visits")]:
        app.include_router(router)
    if documented:
        add_docs(app, f"{api_prefix}/docs")
    _describe_errors_as_problems(app)
    return app


def _describe_errors_as_problems(app: FastAPI) -> None:
    """Puts problem documents into the OpenAPI description where FastAPI has its own shape of errors."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        schema = generate()
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        components.update(problem.pop("$defs"))
        components["Problem"] = problem
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        for path in schema["paths"].values():
            for operation in path.values():
                responses = operation["responses"]
                if "422" in responses:
                    responses["422"] = {"description": "Invalid request", "content": content}
                responses["default"] = {"description": "Any other error", "content": content}
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
