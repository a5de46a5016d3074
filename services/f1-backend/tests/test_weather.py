import datetime as dt

import pytest

from f1.ingest.http import JsonClient
from f1.ingest.weather import CUSTOMER_ARCHIVE, FORECAST, Reading, Unknown, WeatherClient
from tests.conftest import settings_for
from tests.replay import Replay, replaying

TODAY = dt.date(2024, 3, 20)


def ask(replay: Replay, date: dt.date, timeout: float = 60, **values: object) -> Reading | Unknown:
    settings = settings_for(
        weather_archive_url=replay.url + "/weather/archive",
        weather_forecast_url=replay.url + "/weather/forecast",
        **values,
    )
    with JsonClient(timeout=timeout, attempts=2, sleep=lambda _: None) as client:
        return WeatherClient(client, settings).day(26.03, 50.51, date, TODAY)


@pytest.mark.parametrize(
    ("date", "service"), [(dt.date(2024, 3, 2), "archive"), (dt.date(2024, 3, 24), "forecast")]
)
def test_a_day(date: dt.date, service: str) -> None:
    with replaying() as replay:
        assert ask(replay, date) == Reading(2.5, 23.1, 14.0)
        path, query, _ = replay.requests[0]
    assert path.endswith(service)
    assert query["start_date"] == query["end_date"] == [date.isoformat()]
    assert "apikey" not in query


def test_the_key_goes_to_the_service_and_nowhere_else() -> None:
    with replaying(always="500") as replay:
        weather = ask(replay, TODAY, weather_api_key="w-secret")
        assert replay.requests[0][1]["apikey"] == ["w-secret"]
    assert isinstance(weather, Unknown)
    assert "w-secret" not in weather.because
    assert "status 500" in weather.because


def test_the_service_depends_on_the_key() -> None:
    with JsonClient(timeout=60, attempts=1) as client:
        assert WeatherClient(client, settings_for())._forecast.rstrip("/") == FORECAST
        keyed = WeatherClient(client, settings_for(weather_api_key="k"))
        assert keyed._archive.rstrip("/") == CUSTOMER_ARCHIVE


def test_a_day_beyond_the_forecast_is_not_asked_for() -> None:
    with replaying() as replay:
        assert ask(replay, TODAY + dt.timedelta(days=40)) == Unknown("the day is beyond the forecast")
        assert replay.requests == []


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        ({"error": True}, "does not fit"),
        (
            {
                "daily": {
                    "precipitation_sum": [None],
                    "temperature_2m_mean": [1.0],
                    "wind_speed_10m_max": [1.0],
                }
            },
            "no figures for this day",
        ),
    ],
)
def test_an_answer_without_figures_is_unknown(answer: dict[str, object], because: str) -> None:
    with replaying(weather=answer) as replay:
        weather = ask(replay, TODAY)
    assert isinstance(weather, Unknown)
    assert because in weather.because


@pytest.mark.parametrize("trouble", ["hang up", "html", "404"])
def test_a_failing_service_is_unknown_not_an_error(trouble: str) -> None:
    with replaying(always=trouble) as replay:
        assert isinstance(ask(replay, TODAY), Unknown)


def test_a_service_that_does_not_answer_is_unknown_not_an_error() -> None:
    with replaying(always="silent") as replay:
        weather = ask(replay, TODAY, timeout=0.3)
    assert isinstance(weather, Unknown)
    assert "no answer in 0.3 s" in weather.because
