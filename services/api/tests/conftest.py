import os
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

import recipes
from recipes import accounts, store
from recipes.app import build_app
from recipes.routes import CACHE_TAG
from recipes.schemas import RecipeInput
from recipes.seed import AUTHOR, seed_recipes
from recipes.settings import Settings
from servicekit import health, migrations
from servicekit.testing import PATIENT, PATIENT_CHECK_SECONDS, skip_without_services, temporary_database

SECRET = "unit-tests-only-0123456789abcdef"
PASSWORD = "al dente, always"
# Where requests come from: the tests play the gateway.
PROXY = "127.0.0.1"
_addresses = count(1)

MakeClient = Callable[..., TestClient]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_without_services(items)


@pytest.fixture(autouse=True)
def _patient_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT_SECONDS", PATIENT_CHECK_SECONDS)


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A database of this run's own, migrated."""
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        migrations.upgrade(_settings(database_url=url), recipes)
        yield url


def _settings(**values: object) -> Settings:
    defaults = {
        "redis_url": os.environ["REDIS_URL"],
        "jwt_secret_key": SECRET,
        # Each test is a client of its own: see `make_client`.
        "trusted_proxies": PROXY,
        **PATIENT,
    }
    return Settings.model_validate({**defaults, **values})


@pytest.fixture
def make_app(database_url: str) -> Iterator[Callable[..., FastAPI]]:
    """Applications on an empty database and an empty cache."""
    opened: list[FastAPI] = []

    def make(**values: object) -> FastAPI:
        app = build_app(_settings(**{"database_url": database_url, **values}))
        if not opened:
            with app.state.database.session() as session:
                session.execute(text("TRUNCATE recipes, users RESTART IDENTITY"))
            app.state.cache.invalidate(CACHE_TAG)
        opened.append(app)
        return app

    yield make
    for app in opened:
        app.state.database.close()
        app.state.cache.close()
        app.state.limiter.close()


@pytest.fixture
def make_client(make_app: Callable[..., FastAPI]) -> MakeClient:
    """Clients, each with an address of its own, so that no test uses up another's rate limits."""

    def make(**values: object) -> TestClient:
        number = next(_addresses)
        address = f"10.{os.getpid() % 256}.{number // 256}.{number % 256}"
        headers = {"X-Forwarded-For": address}
        return TestClient(make_app(**values), headers=headers, client=(PROXY, 50_000))

    return make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()


@pytest.fixture
def seeded(client: TestClient) -> TestClient:
    with client.app.state.database.session() as session:  # type: ignore[attr-defined]
        store.add_missing(session, seed_recipes(), AUTHOR)
    return client


def sign_in(client: TestClient, role: str = "editor") -> TestClient:
    """The client with the access token of a new user, got by signing in."""
    database = client.app.state.database  # type: ignore[attr-defined]
    accounts.save_user(database, "nonna", PASSWORD, "admin" if role == "admin" else "editor")
    response = client.post("/api/auth/token", json={"username": "nonna", "password": PASSWORD})
    client.headers["Authorization"] = f"Bearer {response.json()['access_token']}"
    return client


@pytest.fixture
def editor(client: TestClient) -> TestClient:
    return sign_in(client)


def a_recipe(**changes: object) -> dict[str, object]:
    """A recipe as an editor would send it."""
    recipe = {
        "title": "Pasta al burro",
        "summary": "Butter, cheese, and pasta water.",
        "photo_url": None,
        "tags": ["quick"],
        "minutes": 15,
        "servings": 2,
        "ingredients": [{"quantity": "200 g", "name": "tagliatelle"}, {"quantity": None, "name": "salt"}],
        "steps": ["Boil the pasta.", "Toss it with butter and cheese."],
    }
    return RecipeInput.model_validate({**recipe, **changes}).model_dump(mode="json")
