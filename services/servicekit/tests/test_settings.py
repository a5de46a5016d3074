from pathlib import Path

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from servicekit.settings import RateLimitRule, ServiceSettings, load_settings, schema_settings
from tests.conftest import SECRET, MakeSettings


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("DATABASE_URL", "postgres://user:hunter2@db/recipes")
    monkeypatch.setenv("REDIS_URL", "redis://cache:6379/0")
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    return monkeypatch


def test_reads_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PORT", "9000")
    environment.setenv("CORS_ORIGINS", "https://a.example, https://b.example,")
    environment.setenv("DRAIN_SECONDS", "")
    settings = load_settings(ServiceSettings)
    assert settings.port == 9000
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.drain_seconds == 5
    assert settings.sqlalchemy_url == "postgresql+psycopg://user:hunter2@db/recipes"


def test_reads_secrets_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    contents = {"jwt_secret_key": SECRET, "database_url": "postgresql://db", "redis_url": "redis://cache"}
    for name, content in contents.items():
        (tmp_path / name).write_text(content + "\n")
    settings = ServiceSettings(_secrets_dir=tmp_path)
    assert settings.jwt_secret_key.get_secret_value() == SECRET


def test_names_every_wrong_variable_and_shows_no_secret(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("PORT", "99999")
    environment.setenv("ENVIRONMENT", "prod")
    environment.setenv("JWT_SECRET_KEY", "too-short")
    environment.setenv("DATABASE_URL", "mysql://user:hunter2@db/recipes")
    environment.delenv("REDIS_URL")
    with pytest.raises(SystemExit) as exit_info:
        load_settings(ServiceSettings)
    assert exit_info.value.code == 2
    message = capsys.readouterr().err
    assert "PORT: Input should be less than or equal to 65535 (found '99999')" in message
    assert "ENVIRONMENT: Input should be 'development', 'staging' or 'production' (found 'prod')" in message
    assert "JWT_SECRET_KEY: should have at least 32 characters" in message
    assert "DATABASE_URL: should look like postgresql://…" in message
    assert "REDIS_URL: is not set" in message
    assert "hunter2" not in message
    assert "too-short" not in message


def test_rate_limits_are_checked() -> None:
    rule = TypeAdapter[str](RateLimitRule)
    assert rule.validate_python("5/second;100/hour") == "5/second;100/hour"
    with pytest.raises(ValidationError, match="should look like 10/minute"):
        rule.validate_python("often")


@pytest.mark.parametrize("secret", ["development-only-secret-0123456789abcdef", "a" * 40, "ab" * 30])
def test_production_refuses_weak_secrets(make_settings: MakeSettings, secret: str) -> None:
    make_settings(jwt_secret_key=secret, environment="staging")
    with pytest.raises(ValidationError, match="known default or too simple"):
        make_settings(jwt_secret_key=secret, environment="production")


def test_production_takes_a_random_secret(make_settings: MakeSettings) -> None:
    secret = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    assert make_settings(jwt_secret_key=secret, environment="production").environment == "production"


def test_settings_do_not_show_secrets(make_settings: MakeSettings) -> None:
    shown = repr(make_settings(database_url="postgresql://user:hunter2@db/recipes"))
    assert "hunter2" not in shown
    assert SECRET not in shown


def test_schema_settings_need_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(schema_settings(ServiceSettings).jwt_secret_key, SecretStr)
