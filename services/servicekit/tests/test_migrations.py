import os
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from tenacity import stop_after_delay

from servicekit import migrations
from servicekit.settings import ServiceSettings
from servicekit.testing import check_migrations, temporary_database
from tests import sample
from tests.conftest import MakeSettings

_LOCK_KEY = 727_001


@pytest.fixture
def settings(make_settings: MakeSettings) -> ServiceSettings:
    return make_settings(database_url=os.environ["DATABASE_URL"])


def _tables(settings: ServiceSettings) -> set[str]:
    engine = create_engine(settings.sqlalchemy_url, poolclass=NullPool)
    return set(inspect(engine).get_table_names())


@pytest.mark.integration
def test_up_down_and_up_again(make_settings: MakeSettings) -> None:
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        settings = make_settings(database_url=url)
        check_migrations(settings, sample, {"things"})
        assert "things" in _tables(settings)


@pytest.mark.integration
def test_waits_for_whoever_migrates_already(make_settings: MakeSettings) -> None:
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        settings = make_settings(database_url=url)
        other = create_engine(settings.sqlalchemy_url, poolclass=NullPool).connect()
        other.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
        migrating = threading.Thread(target=migrations.upgrade, args=(settings, sample))
        migrating.start()
        # Longer than lock_timeout, so that the wait is a retry.
        migrating.join(3)
        assert migrating.is_alive()
        assert _tables(settings) == set()
        other.close()
        migrating.join(20)
        assert "things" in _tables(settings)


def test_gives_up_on_a_database_that_never_answers(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations._retrying.retry, "stop", stop_after_delay(0.5))
    with pytest.raises(OperationalError):
        migrations.upgrade(make_settings(), sample)


def test_offline_mode_prints_sql(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere/none")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "sample/migrations"))
    command.upgrade(config, "head", sql=True)
    assert "CREATE TABLE things" in capsys.readouterr().out
