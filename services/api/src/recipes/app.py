"""Puts the service together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from recipes import routes
from recipes.settings import Settings
from servicekit.app import create_app
from servicekit.cache import Cache
from servicekit.database import Database
from servicekit.middleware import KeptAnswersMiddleware

SERVICE = "recipes-api"
CACHE_PREFIX = "recipes"


def build_app(settings: Settings) -> FastAPI:
    """The application. Connects to nothing before the first request."""
    database = Database(settings)
    cache = Cache(settings, CACHE_PREFIX)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        cache.close()
        database.close()

    app = create_app(
        settings,
        service=SERVICE,
        title="Recipes API",
        description="Pasta recipes: find, read, write. Errors are problem documents (RFC 9457).",
        routers=[routes.recipes, routes.auth],
        checks={"database": database.check, "redis": cache.check},
        lifespan=lifespan,
    )
    if "cachedLists" in settings.flags:
        app.add_middleware(KeptAnswersMiddleware, paths="/api/(recipes|tags)", seconds=30)
    app.state.database = database
    app.state.cache = cache
    return app
