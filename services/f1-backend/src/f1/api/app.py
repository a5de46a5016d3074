"""The application, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from f1.api.platform import Platform
from f1.api.routes import admin, api
from f1.api.serving import ServedModel
from f1.registry.opening import open_registry
from f1.settings import Settings
from servicekit.app import create_app
from servicekit.cache import Cache
from servicekit.database import Database
from servicekit.middleware import KeptAnswersMiddleware

SERVICE = "f1-backend"
API_PREFIX = "/api/f1"
DESCRIPTION = (
    "Who wins the next Grand Prix, and how past predictions fared. Win probabilities of a race sum to 1, "
    "podium probabilities to 3. Everything that is shown about a past race was predicted without knowing it "
    "or any later one: by a model that served at the time, or in a walk-forward run that was trained on "
    "earlier races only."
)


def make_cache(settings: Settings) -> Cache:
    """The cache that the API reads and imports invalidate."""
    return Cache(settings, "f1")


def make_app(settings: Settings) -> FastAPI:
    """The API with its health checks; connections and the model are opened when it starts."""
    database = Database(settings)
    cache = make_cache(settings)
    model = ServedModel(
        settings.model_dir, settings.model_worse_margin, open_registry(settings), settings.model_poll_seconds
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.platform = Platform(database, cache, model)
        model.trial = app.state.platform.try_out
        await asyncio.to_thread(model.start)
        try:
            yield
        finally:
            model.stop()
            cache.close()
            database.close()

    app = create_app(
        settings,
        service=SERVICE,
        title="F1 predictions",
        description=DESCRIPTION,
        routers=[api, admin],
        checks={
            "database": database.check,
            "redis": cache.check,
            "model": model.check,
            "champion": model.check_champion,
        },
        # While the champion cannot be loaded, the model before it serves.
        optional_checks=("redis", "champion"),
        lifespan=lifespan,
        api_prefix=API_PREFIX,
    )
    if "cachedAnswers" in settings.flags:
        people = "/api/f1/(seasons|races|drivers|constructors|standings)(/.*)?"
        app.add_middleware(KeptAnswersMiddleware, paths=people, seconds=30)
    return app
