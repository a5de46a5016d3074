"""Weather of a day at a place, from Open-Meteo. With a key its customer service is asked, which answers the
same."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass

from pydantic import BaseModel, Field, ValidationError

from f1.dataset import SourceError
from f1.ingest.http import JsonClient
from f1.settings import SourceSettings

log = logging.getLogger(__name__)

ARCHIVE = "https://archive-api.open-meteo.com/v1/archive"
FORECAST = "https://api.open-meteo.com/v1/forecast"
CUSTOMER_ARCHIVE = "https://customer-archive-api.open-meteo.com/v1/archive"
CUSTOMER_FORECAST = "https://customer-api.open-meteo.com/v1/forecast"
# The archive is some days behind; the forecast reaches this far ahead.
ARCHIVE_DELAY = dt.timedelta(days=7)
HORIZON = dt.timedelta(days=15)
SOURCE = "open-meteo"


class _Daily(BaseModel):
    precipitation_sum: list[float | None] = Field(min_length=1)
    temperature_2m_mean: list[float | None] = Field(min_length=1)
    wind_speed_10m_max: list[float | None] = Field(min_length=1)


class _Answer(BaseModel):
    daily: _Daily


@dataclass(frozen=True)
class Reading:
    """Precipitation in mm, mean temperature in °C, strongest wind in km/h, of one day."""

    precipitation_mm: float
    temperature_c: float
    wind_kph: float


@dataclass(frozen=True)
class Unknown:
    """The weather could not be had."""

    because: str


class WeatherClient:
    """Asks for one day at a time and never raises: a failure is an `Unknown`."""

    def __init__(self, client: JsonClient, settings: SourceSettings) -> None:
        self._client = client
        key = settings.weather_api_key
        self._key = {"apikey": key.get_secret_value()} if key else {}
        self._archive = str(settings.weather_archive_url or (CUSTOMER_ARCHIVE if key else ARCHIVE))
        self._forecast = str(settings.weather_forecast_url or (CUSTOMER_FORECAST if key else FORECAST))

    def day(self, latitude: float, longitude: float, date: dt.date, today: dt.date) -> Reading | Unknown:
        """The weather of `date`, observed or forecast as seen from `today`."""
        if date > today + HORIZON:
            return Unknown("the day is beyond the forecast")
        url = self._archive if date < today - ARCHIVE_DELAY else self._forecast
        params: dict[str, str | int | float] = {
            "latitude": latitude,
            "longitude": longitude,
            "start_date": date.isoformat(),
            "end_date": date.isoformat(),
            "daily": "precipitation_sum,temperature_2m_mean,wind_speed_10m_max",
            "timezone": "auto",
            **self._key,
        }
        try:
            daily = _Answer.model_validate(self._client.get(url, params)).daily
        except SourceError as error:
            log.warning("no weather", extra={"date": date.isoformat(), "reason": str(error)})
            return Unknown(str(error)[:200])
        except ValidationError as error:
            return Unknown(f"{url}: the answer does not fit ({error.error_count()} fields)"[:200])
        rain, warmth, wind = (
            daily.precipitation_sum[0],
            daily.temperature_2m_mean[0],
            daily.wind_speed_10m_max[0],
        )
        if rain is None or warmth is None or wind is None:
            return Unknown(f"{url}: the service has no figures for this day"[:200])
        return Reading(rain, warmth, wind)
