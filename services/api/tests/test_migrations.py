import os

import pytest
from alembic.script import ScriptDirectory

import recipes
from recipes.settings import Settings
from servicekit import migrations
from servicekit.settings import schema_settings
from servicekit.testing import check_migrations, temporary_database
from tests.conftest import SECRET


def test_there_is_one_head() -> None:
    config = migrations.alembic_config(schema_settings(Settings), recipes)
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


@pytest.mark.integration
def test_up_down_and_up_again_match_the_models() -> None:
    with temporary_database(os.environ["DATABASE_URL"]) as url:
        values = {"database_url": url, "redis_url": os.environ["REDIS_URL"], "jwt_secret_key": SECRET}
        settings = Settings.model_validate(values)
        check_migrations(settings, recipes, {"recipes", "users"})
        # Once more changes nothing.
        migrations.upgrade(settings, recipes)
