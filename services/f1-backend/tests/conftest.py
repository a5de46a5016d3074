import datetime as dt
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import f1
from f1 import store
from f1.api.app import make_app
from f1.dataset import SeasonData, history
from f1.forecast import of_predicted
from f1.history import RaceRecord
from f1.ingest import demo, run
from f1.model import artifact, training
from f1.settings import Settings
from servicekit import health, migrations
from servicekit.auth import TokenService
from servicekit.database import Database
from servicekit.testing import PATIENT, PATIENT_CHECK_SECONDS, skip_without_services, temporary_database

pytest_plugins = ["tests.models"]

# A busy machine draws and runs examples slowly, which is no finding.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")

SECRET = "unit-tests-only-0123456789abcdef"
AS_OF = dt.date(2024, 8, 15)
TRAINED_AT = dt.datetime(2024, 8, 16, tzinfo=dt.UTC)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_without_services(items)


@pytest.fixture(autouse=True)
def _patient_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT_SECONDS", PATIENT_CHECK_SECONDS)


def settings_for(**values: object) -> Settings:
    defaults = {
        "database_url": os.environ.get("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none"),
        "redis_url": os.environ.get("REDIS_URL", "redis://127.0.0.1:1/0"),
        "jwt_secret_key": SECRET,
        **PATIENT,
    }
    return Settings.model_validate({**defaults, **values})


def admin(settings: Settings) -> dict[str, str]:
    """The header of an administrator."""
    return {"Authorization": f"Bearer {TokenService(settings).issue('tests', 'admin', 600)}"}


@pytest.fixture(scope="session")
def seasons() -> list[SeasonData]:
    """Five simulated seasons, the last one half run."""
    return demo.simulate(3, 5, AS_OF)


@pytest.fixture(scope="session")
def races(seasons: list[SeasonData]) -> list[RaceRecord]:
    return history(seasons)


@pytest.fixture(scope="session")
def trained(races: list[RaceRecord]) -> training.Trained:
    """One model for all tests: training it is the slowest thing they need."""
    return training.train(races, demo=True)


@dataclass(frozen=True)
class Models:
    """A folder with one good model in it."""

    folder: Path
    version: str

    @property
    def path(self) -> Path:
        return self.folder / f"model-{self.version}"


@pytest.fixture(scope="session")
def saved(trained: training.Trained, tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    golden = artifact.golden_races(trained.out_of_sample)
    version = artifact.save(folder, trained.model, golden, git_sha="abc", trained_at=TRAINED_AT)
    artifact.point(folder, version)
    return Models(folder, version)


@pytest.fixture
def models(saved: Models, tmp_path: Path) -> Models:
    """A copy of the model's folder that a test may damage."""
    shutil.copytree(saved.folder, tmp_path / "models")
    return Models(tmp_path / "models", saved.version)


@pytest.fixture
def empty_database() -> Iterator[str]:
    """The address of a migrated database with nothing in it."""
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        migrations.upgrade(settings_for(database_url=url), f1)
        yield url


@pytest.fixture(scope="session")
def filled_database(seasons: list[SeasonData], trained: training.Trained, saved: Models) -> Iterator[str]:
    """A database with the simulated seasons, ratings and walk-forward predictions. Tests only read it."""
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        settings = settings_for(database_url=url)
        migrations.upgrade(settings, f1)
        database = Database(settings)
        run.ingest(database, "demo", seasons)
        run.update_ratings(database)
        with database.session() as session:
            items = [(of_predicted(item), item.data_cutoff) for item in trained.out_of_sample]
            store.replace_backtest(session, saved.version, items)
        database.close()
        yield url


MakeClient = Callable[..., TestClient]


@pytest.fixture
def make_client(filled_database: str, models: Models) -> Iterator[MakeClient]:
    """Clients of applications on the filled database, each with an empty cache."""
    opened: list[TestClient] = []

    def make(**values: object) -> TestClient:
        settings = settings_for(**{"database_url": filled_database, "model_dir": models.folder, **values})
        app: FastAPI = make_app(settings)
        client = TestClient(app, headers=admin(settings))
        client.__enter__()
        opened.append(client)
        app.state.platform._cache.invalidate("data")
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def reader(filled_database: str, saved: Models) -> Iterator[TestClient]:
    """One application for all tests that only read: to open a model takes seconds."""
    settings = settings_for(database_url=filled_database, model_dir=saved.folder)
    with TestClient(make_app(settings)) as client:
        yield client


@pytest.fixture
def client(reader: TestClient) -> TestClient:
    reader.app.state.platform._cache.invalidate("data")  # type: ignore[attr-defined]
    return reader
