"""Configuration of the F1 backend; see servicekit.settings for what all services have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, HttpUrl, SecretStr, ValidationInfo, field_validator

from servicekit.settings import ServiceSettings


class SourceSettings(ServiceSettings):
    """Where data comes from. The keys are optional: both services answer without one."""

    jolpica_url: HttpUrl = HttpUrl("https://api.jolpi.ca/ergast/f1")
    ergast_api_key: SecretStr | None = None
    weather_api_key: SecretStr | None = None
    weather_archive_url: HttpUrl | None = None
    weather_forecast_url: HttpUrl | None = None
    http_timeout_seconds: float = Field(15.0, gt=0, le=120)
    http_attempts: int = Field(6, ge=1, le=20)


class RegistrySettings(SourceSettings):
    """Where models are kept. Without `model_registry` they come from `model_dir` alone.

    Keys are PEM texts of an elliptic curve; only what trains has the private one.
    """

    model_registry: str | None = Field(None, pattern=r"^s3://")
    model_registry_endpoint: HttpUrl | None = None
    model_registry_region: str | None = None
    model_registry_kms_key: str | None = None
    model_registry_key_id: SecretStr | None = None
    model_registry_secret_key: SecretStr | None = Field(None, validate_default=True)
    model_public_key: str | None = Field(None, validate_default=True)
    model_signing_key: SecretStr | None = None
    # How often a server asks whether another model is the champion.
    model_poll_seconds: float = Field(30.0, ge=0.05, le=3600)

    @field_validator("model_public_key")
    @classmethod
    def _verifiable(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("model_registry") is not None:
            raise ValueError("is needed with MODEL_REGISTRY: only models that it verifies may serve")
        return value

    @field_validator("model_registry_secret_key")
    @classmethod
    def _both(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if (value is None) != (info.data.get("model_registry_key_id") is None):
            raise ValueError("is needed with MODEL_REGISTRY_KEY_ID, and only with it")
        return value


class Settings(RegistrySettings):
    """All settings of the F1 backend."""

    known_flags: ClassVar[Mapping[str, str]] = {
        "cachedAnswers": "Browsers and caches may keep answers about races and people for half a minute.",
    }

    model_dir: Path = Path("/models")
    # How often monitoring may find a model worse than a baseline although it is not: once in 1/alpha streams.
    monitoring_alpha: float = Field(0.05, gt=0, le=0.5)
    model_worse_margin: float = Field(0.05, ge=0, le=10)
    # Imports write a whole season at once.
    db_statement_timeout_ms: int = Field(10_000, ge=1, le=600_000)
