import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from recipes.accounts import authenticate
from recipes.cli import cli
from recipes.settings import Settings
from servicekit.auth import Principal, TokenService
from servicekit.database import Database
from tests.conftest import SECRET

runner = CliRunner()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_openapi_needs_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "JWT_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    result = runner.invoke(cli, ["openapi"])
    assert result.exit_code == 0
    assert "/api/recipes/{slug}" in json.loads(result.output)["paths"]


def test_wrong_configuration_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "nonsense")
    monkeypatch.setenv("RATE_LIMIT_LOGIN", "often")
    result = runner.invoke(cli, ["serve"])
    assert result.exit_code == 2
    assert "DATABASE_URL: should look like postgresql://…" in result.stderr
    assert "RATE_LIMIT_LOGIN: should look like 10/minute" in result.stderr


def test_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://unused")
    monkeypatch.setenv("REDIS_URL", "redis://unused")
    result = runner.invoke(cli, ["token", "Operator", "--role", "admin", "--ttl", "60"])
    principal = TokenService(Settings()).verify(result.output.strip())
    assert principal == Principal(subject="operator", role="admin")


@pytest.mark.parametrize(
    ("arguments", "password", "message"),
    [
        (["create-user", "no spaces"], "long enough, it is", "is not a username"),
        (["create-user", "nonna"], "short", "at least 10 characters"),
        (["create-user", "nonna", "--role", "owner"], "long enough, it is", "is not one of"),
    ],
)
def test_users_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], password: str, message: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://unused")
    monkeypatch.setenv("REDIS_URL", "redis://unused")
    result = runner.invoke(cli, arguments, input=password + "\n")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.integration
def test_from_nothing_to_a_served_recipe(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", os.environ["REDIS_URL"])
    for command in (["migrate"], ["seed"], ["seed"]):
        result = runner.invoke(cli, command)
        assert result.exit_code == 0, result.output
    assert "added 0 recipes" in result.output

    created = runner.invoke(cli, ["create-user", "Nonna", "--role", "admin"], input="from standard input\n")
    assert created.exit_code == 0, created.output
    assert "saved user nonna with role admin" in created.output
    assert "from standard input" not in created.output
    monkeypatch.setenv("RECIPES_PASSWORD", "from the environment")
    assert runner.invoke(cli, ["create-user", "nonna"]).exit_code == 0

    database = Database(Settings())
    assert authenticate(database, "nonna", "from standard input") is None
    assert authenticate(database, "nonna", "from the environment") == "editor"
    database.close()


@pytest.mark.integration
def test_commands_on_the_database_need_its_address_only(database_url: str) -> None:
    variables = {"DATABASE_URL": database_url, "PATH": os.environ["PATH"]}
    variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "recipes", "database", "state"]
    printed = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE).stdout
    state = json.loads(printed)
    assert (state["heads"], state["pending"]) == (state["image"], [])
