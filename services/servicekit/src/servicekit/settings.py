"""Configuration from environment variables, with one readable message when it is wrong."""

import ipaddress
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from urllib.parse import unquote

from limits import parse_many
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from redis.connection import parse_url
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

_KNOWN_WEAK_SECRETS = ("development-only", "changeme", "change-me", "secret-key", "your-secret", "example")
_DEVELOPMENT_TOKENS = "pitwall-development"

_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
_REDIS = ("redis", "rediss", "unix")
_SECRETS = Path("/run/secrets")


def _split_commas(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _url_with_scheme(parse: Callable[[str], object], *schemes: str) -> AfterValidator:
    def check(url: SecretStr) -> SecretStr:
        scheme, separator, rest = url.get_secret_value().partition("://")
        if not separator or scheme not in schemes or not rest:
            raise ValueError("should look like " + " or ".join(f"{scheme}://…" for scheme in schemes))
        try:
            parse(url.get_secret_value())
        except (ArgumentError, ValueError):
            # Drivers repeat what they cannot read, which may be a part of the password.
            raise ValueError(
                "is not a URL; write @ : / ? # % in a password as %40 %3A %2F %3F %23 %25"
            ) from None
        return url

    return AfterValidator(check)


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            network = ipaddress.ip_network(value)
        except ValueError as error:
            raise ValueError(f"should be addresses or networks, such as 10.42.0.0/16: {error}") from None
        if network.prefixlen == 0:
            raise ValueError(
                f"{value} trusts every client to name its own address; name the proxies' network"
            )
    return values


def _rate_limit(value: str) -> str:
    try:
        parse_many(value)
    except ValueError as error:
        raise ValueError("should look like 10/minute or 5/second;100/hour") from error
    return value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]
"""A list written as `a,b,c`."""

Networks = Annotated[CommaSeparated, AfterValidator(_networks)]
"""Addresses and networks, written as `10.42.0.0/16,127.0.0.1`."""

RateLimitRule = Annotated[str, AfterValidator(_rate_limit)]
"""How often something may happen, in the notation of the `limits` library: `10/minute`."""


class DatabaseSettings(BaseSettings):
    """What a process needs that works on the database only. Each is an environment variable of the same name
    in capitals, or a file of that name in lower case in /run/secrets."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        secrets_dir=_SECRETS if _SECRETS.is_dir() else None,
    )

    environment: Literal["development", "staging", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    database_url: Annotated[SecretStr, _url_with_scheme(make_url, *_POSTGRESQL)]

    def secrets(self) -> set[str]:
        """Every secret value, and the passwords inside addresses, both as written and decoded."""
        values = {value.get_secret_value() for _, value in self if isinstance(value, SecretStr)}
        return values | {password for value in values for password in passwords(value)}

    @property
    def sqlalchemy_url(self) -> str:
        """The database's address with the driver that the services use. Contains the password."""
        return sqlalchemy_url(self.database_url.get_secret_value())


class ServiceSettings(DatabaseSettings):
    """Settings that all services have."""

    # What each flag of the service turns on. All are off unless FLAGS names them.
    known_flags: ClassVar[Mapping[str, str]] = {}
    flags: CommaSeparated = ()

    service_version: str = "0.0.0"
    service_revision: str = "unknown"

    host: str = "0.0.0.0"
    port: int = Field(8000, ge=1, le=65535)

    db_pool_size: int = Field(10, ge=1, le=200)
    db_pool_timeout_seconds: float = Field(2.0, gt=0, le=60)
    db_connect_timeout_seconds: int = Field(3, ge=1, le=60)
    db_statement_timeout_ms: int = Field(5000, ge=1, le=600_000)

    redis_url: Annotated[SecretStr, _url_with_scheme(parse_url, *_REDIS)]
    redis_timeout_seconds: float = Field(0.25, gt=0, le=10)
    redis_cooldown_seconds: float = Field(5.0, gt=0, le=300)
    cache_ttl_seconds: int = Field(300, ge=1, le=86_400)

    jwt_secret_key: SecretStr
    jwt_issuer: str = Field("", validate_default=True)
    jwt_audience: str = Field("", validate_default=True)

    cors_origins: CommaSeparated = ()
    trusted_proxies: Networks = Field((), validate_default=True)
    rate_limit_visits: RateLimitRule = "120/minute"
    max_body_bytes: int = Field(262_144, ge=1024, le=100_000_000)
    worker_threads: int = Field(20, ge=1, le=500)

    keep_alive_seconds: int = Field(75, ge=1, le=3600)
    drain_seconds: float = Field(5.0, ge=0, le=300)
    keep_alive_linger_seconds: float = Field(5.0, ge=0, le=300)
    shutdown_grace_seconds: int = Field(20, ge=1, le=600)

    @field_validator("flags")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # One that is on and does nothing would go unnoticed.
        unknown = [name for name in value if name not in cls.known_flags]
        if unknown:
            allowed = ", ".join(sorted(cls.known_flags)) or "none"
            raise ValueError(f"no such flag: {', '.join(unknown)}; allowed: {allowed}")
        return value

    @field_validator("jwt_secret_key")
    @classmethod
    def _strong_enough(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        secret = value.get_secret_value()
        if len(secret) < 32:
            raise ValueError("should have at least 32 characters")
        known = any(weak in secret.lower() for weak in _KNOWN_WEAK_SECRETS)
        if info.data.get("environment") == "production" and (known or len(set(secret)) < 10):
            raise ValueError(
                "is a known default or too simple for production; make one: openssl rand -hex 32"
            )
        return value

    @field_validator("jwt_issuer", "jwt_audience")
    @classmethod
    def _one_for_each_environment(cls, value: str, info: ValidationInfo) -> str:
        if value or not _deployed(info):
            return value or _DEVELOPMENT_TOKENS
        raise ValueError(
            "is not set, and has no default outside development; it keeps tokens of other environments out: "
            "set a name that only this service in this environment has, such as api-production"
        )

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_known(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value or not _deployed(info):
            return value
        raise ValueError(
            "is not set, and has no default outside development; without it all clients behind the gateway "
            "share one rate limit: set the network that the gateway connects from, such as 10.42.0.0/16"
        )


def passwords(url: str) -> set[str]:
    """The password inside an address, as written and decoded; nothing when it has none."""
    found = re.match(r"[^:/]+://[^:@]*:(.*)@", url)
    return {found[1], unquote(found[1])} if found else set()


def _deployed(info: ValidationInfo) -> bool:
    return bool(info.data.get("environment", "development") != "development")


def sqlalchemy_url(url: str) -> str:
    """The database's address with the driver named in it; `postgresql://` alone means another driver."""
    return "postgresql+psycopg://" + url.partition("://")[2]


SettingsT = TypeVar("SettingsT", bound=DatabaseSettings)
ServiceSettingsT = TypeVar("ServiceSettingsT", bound=ServiceSettings)


def load_settings(settings_type: type[SettingsT]) -> SettingsT:
    """Reads the settings from the environment; when they are wrong, says what and ends with exit code 2."""
    try:
        return settings_type()
    except ValidationError as error:
        print(explain(error, settings_type), file=sys.stderr)
        raise SystemExit(2) from None


def schema_settings(settings_type: type[ServiceSettingsT]) -> ServiceSettingsT:
    """Settings for describing the API (OpenAPI) only: nothing they name is ever connected to."""
    return settings_type(
        environment="development",
        database_url=SecretStr("postgresql://unused"),
        redis_url=SecretStr("redis://unused"),
        jwt_secret_key=SecretStr("only-describes-the-api-signs-nothing"),
    )


def explain(error: ValidationError, settings_type: type[DatabaseSettings]) -> str:
    """One line for each wrong variable: its name, what was found (never a secret), what is allowed."""
    lines = ["The configuration is wrong:"]
    for item in error.errors(include_url=False):
        name = str(item["loc"][0])
        if item["type"] == "missing":
            lines.append(f"  {name.upper()}: is not set, and has no default")
            continue
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"  {name.upper()}: {message}{_found(name, item['input'], settings_type)}")
    return "\n".join(lines)


def _found(name: str, value: object, settings_type: type[DatabaseSettings]) -> str:
    field = settings_type.model_fields.get(name)
    if value in ("", ()):
        return ""
    if field is None or "SecretStr" in str(field.annotation):
        return " (the value found is a secret and not shown)"
    return f" (found {str(value)[:100]!r})"
