from pathlib import Path

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from servicekit.settings import RateLimitRule, ServiceSettings, load_settings, schema_settings
from tests.conftest import DEPLOYED, SECRET, MakeSettings


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


def test_flags_are_off_until_named_and_known(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Flagged(ServiceSettings):
        known_flags = {"sharing": "Things can be shared.", "printing": "Things can be printed."}

    assert load_settings(Flagged).flags == ()
    environment.setenv("FLAGS", "sharing")
    assert load_settings(Flagged).flags == ("sharing",)
    environment.setenv("FLAGS", "sharing,flying")
    with pytest.raises(SystemExit):
        load_settings(Flagged)
    assert "FLAGS: no such flag: flying; allowed: printing, sharing" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        load_settings(ServiceSettings)
    assert "FLAGS: no such flag: sharing, flying; allowed: none" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@db:not-hunter3/recipes",
        "postgresql://user:hunter2:hunter3@db:/x:hunter3",
        "redis://:hunter2/hunter3@cache:6379/0",
        "redis://:{}#hunter3@cache:6379/0".format("hunter2"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_its_password(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    name = "REDIS_URL" if url.startswith("redis") else "DATABASE_URL"
    environment.setenv(name, url)
    with pytest.raises(SystemExit):
        load_settings(ServiceSettings)
    message = capsys.readouterr().err
    assert f"{name}: is not a URL" in message
    assert "hunter" not in message


def test_rate_limits_are_checked() -> None:
    rule = TypeAdapter[str](RateLimitRule)
    assert rule.validate_python("5/second;100/hour") == "5/second;100/hour"
    with pytest.raises(ValidationError, match="should look like 10/minute"):
        rule.validate_python("often")


def test_development_needs_no_names_and_no_proxies(environment: pytest.MonkeyPatch) -> None:
    settings = load_settings(ServiceSettings)
    assert settings.trusted_proxies == ()
    assert settings.jwt_issuer == settings.jwt_audience == "pitwall-development"


@pytest.mark.parametrize("where", ["staging", "production"])
def test_elsewhere_the_names_and_the_proxies_have_to_be_given(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    environment.setenv("ENVIRONMENT", where)
    with pytest.raises(SystemExit) as exit_info:
        load_settings(ServiceSettings)
    assert exit_info.value.code == 2
    lines = capsys.readouterr().err.splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == ["JWT_ISSUER", "JWT_AUDIENCE", "TRUSTED_PROXIES"]
    for line in lines:
        assert "is not set, and has no default outside development" in line
        assert "(found" not in line

    given = {"JWT_ISSUER": "i", "JWT_AUDIENCE": "a", "TRUSTED_PROXIES": "10.42.0.0/16, fd00::/8,127.0.0.1"}
    for name, value in given.items():
        environment.setenv(name, value)
    settings = load_settings(ServiceSettings)
    assert (settings.jwt_issuer, settings.jwt_audience) == ("i", "a")
    assert settings.trusted_proxies == ("10.42.0.0/16", "fd00::/8", "127.0.0.1")


@pytest.mark.parametrize(
    ("proxies", "message"),
    [
        ("*", "should be addresses or networks, such as 10.42.0.0/16"),
        ("gateway", "should be addresses or networks"),
        ("10.0.0.1/8", "has host bits set"),
        ("10.0.0.0/8,0.0.0.0/0", "0.0.0.0/0 trusts every client"),
        ("::/0", "::/0 trusts every client"),
    ],
)
def test_proxies_are_addresses_and_never_everybody(
    make_settings: MakeSettings, proxies: str, message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        make_settings(trusted_proxies=proxies)


@pytest.mark.parametrize("secret", ["development-only-secret-0123456789abcdef", "a" * 40, "ab" * 30])
def test_production_refuses_weak_secrets(make_settings: MakeSettings, secret: str) -> None:
    make_settings(jwt_secret_key=secret, environment="staging", **DEPLOYED)
    with pytest.raises(ValidationError, match="known default or too simple"):
        make_settings(jwt_secret_key=secret, environment="production", **DEPLOYED)


def test_production_takes_a_random_secret(make_settings: MakeSettings) -> None:
    secret = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    settings = make_settings(jwt_secret_key=secret, environment="production", **DEPLOYED)
    assert settings.environment == "production"


def test_settings_do_not_show_secrets(make_settings: MakeSettings) -> None:
    shown = repr(make_settings(database_url="postgresql://user:hunter2@db/recipes"))
    assert "hunter2" not in shown
    assert SECRET not in shown


def test_secrets_are_known_in_every_way_they_are_written(make_settings: MakeSettings) -> None:
    password = "a%40b:c/d@e"
    url = f"postgresql://user:{password}@db:5432/recipes"
    settings = make_settings(database_url=url, redis_url="redis://:sesame@cache:6379/0")
    assert settings.secrets() == {
        url,
        password,
        "a@b:c/d@e",
        "redis://:sesame@cache:6379/0",
        "sesame",
        SECRET,
    }


def test_schema_settings_need_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENVIRONMENT", "production")
    assert isinstance(schema_settings(ServiceSettings).jwt_secret_key, SecretStr)
