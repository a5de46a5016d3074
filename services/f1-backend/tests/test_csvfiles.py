from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f1.dataset import SourceError, history
from f1.ingest import csvfiles

RACES = """season,round,date,grand_prix,circuit,circuit_type,laps,distance_km
2023,1,2023-03-05,bahrain,bahrain,RACE,57,308.2
2023,2,2023-03-19,somewhere-new,brand-new,ROAD,,
"""
RESULTS = """season,round,position,driver,constructor,grid,laps,time,reason_retired,points
2023,1,1,max-verstappen,red-bull,1,57,1:33:56.736,,25
2023,1,2,sergio-perez,red-bull,PL,57,+11.9,,18
2023,1,DNF,charles-leclerc,ferrari,3,39,,Power unit,0
2023,1,DNS,zhou-guanyu,alfa-romeo,,,,Illness,
"""
QUALIFYING = """season,round,position,driver,constructor,q1,q2,q3
2023,1,1,max-verstappen,red-bull,1:31.295,1:30.503,1:29.708
2023,1,2,sergio-perez,red-bull,1:31.479,1:30.746,
2023,1,NC,charles-leclerc,ferrari,59.000,,
2023,1,DSQ,charles-leclerc,ferrari,,,
"""


def write(folder: Path, races: str = RACES, results: str = RESULTS, qualifying: str = QUALIFYING) -> Path:
    for name, text in (("races", races), ("results", results), ("qualifying", qualifying)):
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_a_season(tmp_path: Path) -> None:
    (season,) = csvfiles.read(write(tmp_path))
    assert (season.year, len(season.races), len(season.results), len(season.qualifying)) == (2023, 2, 4, 3)
    bahrain, new = season.races
    assert (bahrain.name, bahrain.circuit.name) == ("Bahrain Grand Prix", "Bahrain International Circuit")
    assert (new.circuit.name, new.circuit.latitude, new.laps, new.distance_km) == (
        "Brand New",
        None,
        None,
        None,
    )
    first, pit, out, absent = season.results
    assert (first.position, first.grid, first.pit_lane, first.points) == (1, 1, False, 25)
    assert (pit.grid, pit.pit_lane) == (None, True)
    assert (out.position, out.status, out.reason) == (None, "dnf", "Power unit")
    assert (absent.who.driver, absent.status, absent.points) == ("guanyu-zhou", "dns", 0)
    # The times of the first of two rows of a session stay, the place of the second counts.
    leclerc = season.qualifying[2]
    assert (leclerc.position, leclerc.q1) == (None, 59_000)


def test_the_history_has_who_took_part(tmp_path: Path) -> None:
    record, coming = history(csvfiles.read(write(tmp_path)))
    assert [entry.driver for entry in record.entries] == ["charles-leclerc", "max-verstappen", "sergio-perez"]
    assert record.winner == "max-verstappen"
    assert record.podium == {"max-verstappen", "sergio-perez"}
    gaps = {entry.driver: entry.session_gap for entry in record.entries}
    assert gaps["max-verstappen"] == 0
    assert gaps["sergio-perez"] == pytest.approx((90_746 / 90_503 - 1) * 100)
    assert not coming.completed
    assert coming.entries == ()


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "races",
            "2023-03-05",
            "5.3.23",
            "races.csv line 2, column date: a date like 2024-03-02, found '5.3.23'",
        ),
        ("races", "RACE,57", "OVAL,57", "column circuit_type: one of RACE, STREET, ROAD, found 'OVAL'"),
        ("races", "2023,2,", "2023,1,", "races.csv line 3, column round: each season and round once"),
        (
            "races",
            "2023,1,2023",
            "1066,1,2023",
            "column season: a whole number from 1950 to 2100, found '1066'",
        ),
        (
            "races",
            "57,308.2",
            "57,far",
            "column distance_km: a number from 1 to 1000, or nothing, found 'far'",
        ),
        ("races", "57,308.2", "57,nan", "column distance_km"),
        ("races", "laps,", "rounds,", "races.csv line 1: columns laps are missing"),
        ("races", "57,308.2", "57", "races.csv line 2: 8 cells are needed, found 7"),
        (
            "results",
            "1,max",
            "0,max",
            "results.csv line 2, column position: a place from 1 to 60 or one of DNF",
        ),
        ("results", "2,sergio", "1,sergio", "results.csv line 3, column position: each place once in a race"),
        ("results", "charles-leclerc", "max-verstappen", "line 4, column driver: each driver once in a race"),
        (
            "results",
            "ferrari,3",
            "ferrari,back",
            "column grid: a place from 1 to 60, PL, or nothing, found 'back'",
        ),
        ("results", "max-verstappen", "Max Verstappen", "column driver: a slug like max-verstappen"),
        (
            "results",
            "2023,1,DNF",
            "2023,9,DNF",
            "column round: a round of season 2023 that races.csv lists, found '9'",
        ),
        ("results", ",,25", ",,-1", "column points: a number from 0 to 100"),
        ("results", "2023,1,1,", "2023,①,1,", "column round: a whole number from 1 to 40"),
        (
            "races",
            "2023-03-05",
            "2024-03-05",
            "2023/1 Bahrain Grand Prix: a date in 2023 is allowed, found 2024-03-05",
        ),
        (
            "qualifying",
            "2023,1,DSQ,charles-leclerc,ferrari,,,",
            "2023,1,DSQ,charles-leclerc,ferrari,59.001,,",
            "qualifying.csv line 5, column driver: rows of one driver in a session that agree on car",
        ),
        (
            "qualifying",
            "2023,1,DSQ,charles-leclerc,ferrari",
            "2023,1,DSQ,charles-leclerc,sauber",
            "qualifying.csv line 5, column driver: rows of one driver",
        ),
        (
            "qualifying",
            "1:31.295",
            "91.3 s",
            "qualifying.csv line 2, column q1: a lap time like 1:23.456, or nothing",
        ),
        ("qualifying", "2023,1,2", "2023,7,2", "qualifying.csv line 3, column round"),
    ],
)
def test_an_error_says_where_and_what_is_allowed(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    texts = {"races": RACES, "results": RESULTS, "qualifying": QUALIFYING}
    assert old in texts[file]
    texts[file] = texts[file].replace(old, new, 1)
    with pytest.raises(SourceError) as caught:
        csvfiles.read(write(tmp_path, **texts))
    assert message in str(caught.value)


def test_a_file_that_is_missing_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"races\.csv: cannot be read"):
        csvfiles.read(tmp_path)
    write(tmp_path)
    (tmp_path / "results.csv").write_bytes(RESULTS.encode().replace(b"perez", b"p\xe9rez"))
    with pytest.raises(SourceError, match=r"results\.csv: not UTF-8"):
        csvfiles.read(tmp_path)
    write(tmp_path, results=RESULTS.replace("Power unit", '"Power'))
    with pytest.raises(SourceError, match=r"results\.csv line \d+: not CSV"):
        csvfiles.read(tmp_path)


def test_a_byte_order_mark_and_spaces_are_fine(tmp_path: Path) -> None:
    (season,) = csvfiles.read(write(tmp_path, races="\ufeff" + RACES.replace("57,308.2", " 57 ,308.2")))
    assert season.races[0].laps == 57


def test_blank_lines_are_skipped(tmp_path: Path) -> None:
    expected = csvfiles.read(write(tmp_path))
    assert csvfiles.read(write(tmp_path, RACES + "\n", RESULTS + "\n\n", QUALIFYING + "\r\n")) == expected


def test_results_of_one_car_alone_are_refused_by_name(tmp_path: Path) -> None:
    lines = RESULTS.splitlines()[:2]
    with pytest.raises(
        SourceError, match="2023/1 Bahrain Grand Prix: results of two cars.*max-verstappen alone"
    ):
        csvfiles.read(write(tmp_path, results="\n".join(lines)))


def test_what_is_odd_is_taken_in_and_said_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    csvfiles.read(write(tmp_path))
    assert caplog.messages == []
    results = RESULTS.replace("ferrari,3,", "ferrari,1,").replace("1,1,max", "1,DSQ,max")
    record = history(csvfiles.read(write(tmp_path, results=results)))[0]
    assert (record.run, record.completed) == (True, False)
    assert caplog.messages == [
        "2023/1 Bahrain Grand Prix: max-verstappen and charles-leclerc start from place 1",
        "2023/1 Bahrain Grand Prix: nobody is in place 1; who won it is not known until the results are "
        "corrected",
    ]


def test_gaps_in_the_race(tmp_path: Path) -> None:
    def gaps(old: str, new: str) -> dict[str, float | None]:
        assert old in RESULTS
        record = history(csvfiles.read(write(tmp_path, results=RESULTS.replace(old, new))))[0]
        return {outcome.driver: outcome.gap for outcome in record.outcomes}

    whole = 3600 + 33 * 60 + 56.736
    as_gap = gaps("+11.9", "+11.987")
    assert as_gap["max-verstappen"] == 0
    assert as_gap["sergio-perez"] == pytest.approx(11.987 / whole * 100)
    # A driver who is out has none.
    assert as_gap["charles-leclerc"] is None
    assert gaps("+11.9", "1:34:08.723")["sergio-perez"] == pytest.approx(11.987 / whole * 100)
    assert gaps("57,+11.9", "56,+1 lap")["sergio-perez"] == pytest.approx((57 / 56 - 1) * 100)
    assert gaps("+11.9", "")["sergio-perez"] is None
    assert gaps("1:33:56.736", "")["sergio-perez"] is None


@given(st.text(max_size=12))
def test_whatever_is_in_a_lap_time_cell_is_a_time_or_an_error(text: str) -> None:
    try:
        assert 0 <= csvfiles.lap_time(text) < 100 * 60_000
    except ValueError:
        pass
