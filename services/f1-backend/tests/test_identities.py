import pytest

from f1.identities import CIRCUITS, circuit_id, constructor_id, driver_id, lineage, slug, title


@pytest.mark.parametrize(
    ("jolpica", "csv"),
    [
        ("Max Verstappen", "max-verstappen"),
        ("Carlos Sainz", "carlos-sainz-jr"),
        ("Sergio Pérez", "sergio-perez"),
        ("Nico Hülkenberg", "nico-hulkenberg"),
        ("Jérôme d'Ambrosio", "jerome-dambrosio"),
        ("Giedo van der Garde", "giedo-van-der-garde"),
        ("Andrea Kimi Antonelli", "kimi-antonelli"),
    ],
)
def test_a_driver_is_the_same_in_both_sources(jolpica: str, csv: str) -> None:
    assert driver_id(jolpica) == driver_id(csv)


@pytest.mark.parametrize(
    ("jolpica", "csv", "season"),
    [
        ("red_bull", "red-bull", 2024),
        ("alfa", "alfa-romeo", 2022),
        ("sauber", "kick-sauber", 2024),
        ("sauber", "sauber", 2014),
        ("rb", "racing-bulls", 2025),
        ("lotus_f1", "lotus-f1", 2013),
    ],
)
def test_a_constructor_is_the_same_in_both_sources(jolpica: str, csv: str, season: int) -> None:
    assert constructor_id(jolpica, season) == constructor_id(csv, season)


@pytest.mark.parametrize(
    ("jolpica", "csv"),
    [("albert_park", "melbourne"), ("BAK", "baku"), ("monza", "monza"), ("vegas", "las-vegas")],
)
def test_a_circuit_is_the_same_in_both_sources(jolpica: str, csv: str) -> None:
    assert circuit_id(jolpica) == csv
    assert csv in CIRCUITS


def test_a_team_is_followed_through_its_names() -> None:
    assert lineage("audi") == lineage("kick-sauber") == lineage("alfa-romeo") == "sauber"
    assert lineage("brand-new") == "brand-new"


def test_a_name_without_letters_is_refused() -> None:
    with pytest.raises(ValueError, match="no letters"):
        slug("!?")


def test_titles() -> None:
    assert title("giedo-van-der-garde") == "Giedo van der Garde"
    assert title("mclaren") == "McLaren"
