"""Configuration of the F1 backend; see servicekit.settings for what all services have."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, HttpUrl, SecretStr

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


class Settings(SourceSettings):
    """All settings of the F1 backend."""

    model_dir: Path = Path("/models")
    model_worse_margin: float = Field(0.05, ge=0, le=10)
    # Imports write a whole season at once.
    db_statement_timeout_ms: int = Field(10_000, ge=1, le=600_000)
