import os

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

import f1
from f1.settings import Settings
from servicekit import migrations
from servicekit.settings import schema_settings
from servicekit.testing import temporary_database
from tests.conftest import SECRET


def test_there_is_one_head() -> None:
    config = migrations.alembic_config(schema_settings(Settings), f1)
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


@pytest.mark.integration
def test_up_down_and_up_again_match_the_models() -> None:
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        values = {"database_url": url, "redis_url": os.environ["REDIS_URL"], "jwt_secret_key": SECRET}
        settings = Settings.model_validate(values)
        engine = create_engine(settings.sqlalchemy_url, poolclass=NullPool)
        config = migrations.alembic_config(settings, f1)
        for _ in range(2):
            migrations.upgrade(settings, f1)
            command.check(config)
            assert {"races", "predictions"} <= set(inspect(engine).get_table_names())
            migrations.downgrade(settings, f1, "base")
            assert inspect(engine).get_table_names() == ["alembic_version"]
        migrations.upgrade(settings, f1)
        # Once more changes nothing.
        migrations.upgrade(settings, f1)
