import hashlib
import os
from collections.abc import Callable, Iterator

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from servicekit import health
from servicekit.app import create_app
from servicekit.settings import ServiceSettings
from servicekit.testing import PATIENT, PATIENT_CHECK_SECONDS, skip_without_services, temporary_database

SECRET = "unit-tests-only-0123456789abcdef"
NOWHERE = "redis://127.0.0.1:1/0"
# A key that production takes, and what has to be set outside development, as for `make_settings`.
STRONG = {"jwt_secret_key": hashlib.sha256(b"test").hexdigest()}
DEPLOYED = {"jwt_issuer": "tests", "jwt_audience": "tests", "trusted_proxies": "10.42.0.0/16"}

MakeSettings = Callable[..., ServiceSettings]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_without_services(items)


@pytest.fixture(autouse=True)
def _only_what_tests_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ServiceSettings.model_fields:
        if name not in ("database_url", "redis_url"):
            monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(health, "CHECK_TIMEOUT_SECONDS", PATIENT_CHECK_SECONDS)


@pytest.fixture
def make_settings() -> MakeSettings:
    """Settings that reach nothing unless a test says otherwise."""

    def make(**values: object) -> ServiceSettings:
        defaults = {
            "database_url": "postgresql://postgres@127.0.0.1:1/none",
            "redis_url": NOWHERE,
            "jwt_secret_key": SECRET,
            **PATIENT,
        }
        return ServiceSettings.model_validate({**defaults, **values})

    return make


@pytest.fixture
def make_client(make_settings: MakeSettings) -> Iterator[Callable[..., TestClient]]:
    """A client of an application with this router. `client` is the address that requests come from."""
    opened: list[TestClient] = []

    def make(
        router: APIRouter | None = None, client: str = "203.0.113.7", checks: object = None, **values: object
    ) -> TestClient:
        app: FastAPI = create_app(
            make_settings(**values),
            service="sample",
            title="Sample",
            description="For tests",
            routers=[router] if router else [],
            checks=checks,  # type: ignore[arg-type]
        )
        opened.append(TestClient(app, client=(client, 50_000)))
        opened[-1].__enter__()
        return opened[-1]

    yield make
    for each in opened:
        each.__exit__()


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        yield url


@pytest.fixture
def redis_url() -> str:
    return os.environ["REDIS_URL"]
