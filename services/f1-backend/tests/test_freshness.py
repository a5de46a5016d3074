import datetime as dt
from dataclasses import replace

from f1.registry.freshness import Round, Seen, freshness, incomplete

DRIVERS = frozenset({"ada", "bob", "cleo"})
FIRST = Round(2026, 1, "Australia", dt.date(2026, 3, 8), DRIVERS, DRIVERS, won=True)
SECOND = Round(2026, 2, "China", dt.date(2026, 3, 15), DRIVERS, DRIVERS, won=True)
COMING = Round(2026, 3, "Japan", dt.date(2026, 3, 29), frozenset(), frozenset(), won=False)
LATE = replace(SECOND, results=frozenset({"ada", "bob"}))
CHAMPION = Seen("one", FIRST.date)


def test_a_complete_round_that_the_champion_has_not_seen_is_new() -> None:
    found = freshness([FIRST, SECOND, COMING], "two", CHAMPION)
    assert (found.state, found.reason) == ("new", "the champion has not seen 2026/2 China")
    assert not found.left_out


def test_nothing_is_new_when_the_champion_has_seen_all() -> None:
    found = freshness([FIRST, COMING], "one", CHAMPION)
    assert (found.state, found.reason) == (
        "nothing",
        "the champion has seen 2026/1 Australia and all before it",
    )
    # However long ago the race was: no clock is asked.
    qualified = replace(COMING, qualified=DRIVERS)
    assert freshness([FIRST, qualified], "one", CHAMPION).state == "nothing"


def test_a_round_that_is_still_coming_in_is_waited_for_and_named() -> None:
    found = freshness([FIRST, LATE, COMING], "one", CHAMPION)
    assert (found.state, found.reason) == ("incomplete", "2026/2 China: no results of cleo, who qualified")
    assert found.left_out == {(2026, 2)}
    without_winner = replace(SECOND, won=False)
    assert freshness([FIRST, without_winner], "one", CHAMPION).reason == "2026/2 China: nobody is in place 1"


def test_what_is_complete_before_it_is_trained_on() -> None:
    champion = Seen("zero", dt.date(2026, 3, 1))
    found = freshness([FIRST, LATE], "one", champion)
    assert (found.state, found.reason) == ("new", "the champion has not seen 2026/1 Australia")
    assert found.left_out == {(2026, 2)}


def test_who_did_not_start_may_lack_for_ever_once_a_complete_round_followed() -> None:
    without_cleo = replace(FIRST, results=frozenset({"ada", "bob"}))
    assert incomplete([without_cleo]) == {(2026, 1): "2026/1 Australia: no results of cleo, who qualified"}
    assert incomplete([without_cleo, SECOND, COMING]) == {}


def test_a_correction_is_new() -> None:
    found = freshness([FIRST], "corrected", CHAMPION)
    assert (found.state, found.reason) == ("new", "results that the champion has seen were corrected since")


def test_the_first_model_is_trained_on_whatever_there_is() -> None:
    assert freshness([FIRST, COMING], "one", None).reason == (
        "there is no champion; the newest complete round is 2026/1 Australia"
    )
    assert freshness([COMING], "none", None).state == "nothing"
    assert freshness([LATE], "none", None).state == "incomplete"


def test_a_finding_is_a_reason_to_train_on_what_the_champion_has_seen() -> None:
    found = freshness([FIRST, COMING], "one", CHAMPION, ["it is worse", "inputs drift"])
    assert found.state == "new"
    assert found.reason == "monitoring found: it is worse; monitoring found: inputs drift"
    # Beside what is new it is one reason more.
    found = freshness([FIRST, SECOND], "two", CHAMPION, ["it is worse"])
    assert found.reason == "the champion has not seen 2026/2 China; monitoring found: it is worse"
    # What is still coming in is waited for, and without results there is nothing to train on.
    assert freshness([FIRST, LATE], "one", CHAMPION, ["it is worse"]).state == "incomplete"
    assert freshness([COMING], "none", None, ["it is worse"]).state == "nothing"
