from types import MappingProxyType
from typing import Any

import pytest

from servicekit.migrations.reads import (
    MOST_READS,
    MOST_VALUES,
    Answer,
    Contract,
    Failure,
    Read,
    broken,
    changed,
    refusal,
    unusable,
)

THING = {
    "type": "object",
    "required": ["slug", "size"],
    "properties": {"slug": {"type": "string"}, "size": {"type": "integer"}},
}


def operation(schema: Any, parameters: Any = (), **statuses: Any) -> dict[str, Any]:
    responses = {"200": {"content": {"application/json": {"schema": schema}}}, **statuses}
    return {"get": {"parameters": list(parameters), "responses": responses}}


def query(name: str, schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def contract(paths: Any = MappingProxyType({}), prefix: str = "") -> Contract:
    default: dict[str, Any] = {
        "/things": operation({"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}),
        "/things/{slug}": operation({"$ref": "#/components/schemas/Thing"}, **{"404": {}}),
    }
    return Contract(
        {
            "openapi": "3.1.0",
            "paths": {**default, **{f"/{path}": value for path, value in paths.items()}},
            "components": {"schemas": {"Thing": THING}},
        },
        prefix,
    )


def things(count: int) -> list[dict[str, Any]]:
    return [{"slug": f"thing {n}", "size": n} for n in range(count)]


def targets(contract: Contract, content: Any) -> list[str]:
    return [read.target for read in contract.record(lambda target: Answer(200, content))]


LIST, ONE = Read("/things", "/things"), Read("/things/{slug}", "/things/a")


def test_reads_take_ids_from_the_answers_above_them() -> None:
    assert targets(contract(), [{"slug": "a/b c", "size": 1}]) == ["/things", "/things/a%2Fb%20c"]


def test_of_many_ids_the_first_the_last_and_some_between_are_read() -> None:
    ids = [target.removeprefix("/things/thing%20") for target in targets(contract(), things(101))[1:]]
    assert ids == ["0", "25", "50", "75", "100"]
    assert len(ids) == MOST_VALUES


def test_ids_of_several_parameters_come_from_the_same_object() -> None:
    found = contract({"races": operation({}), "races/{season}/{round}": operation({})})
    rows = {"items": [{"season": 2024, "round": 7}, {"season": 2025}, {"season": True, "round": 1}]}
    assert [target for target in targets(found, rows) if target.startswith("/races/")] == ["/races/2024/7"]


def test_a_path_whose_ids_nobody_shows_is_named() -> None:
    assert contract().unasked(contract().record(lambda target: Answer(200, []))) == ["/things/{slug}"]


def test_queries_take_what_the_description_lists_and_what_answers_show() -> None:
    parameters = [
        query("sort", {"enum": ["size", "name"], "type": "string"}),
        query("q", {"anyOf": [{"type": "string"}, {"type": "null"}], "examples": ["lemon & co"]}),
        query("page", {"type": "integer", "minimum": 1, "maximum": 9}),
        query("size", {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}),
        query("slug", {"type": "array", "items": {"type": "string"}}),
        query("all", {"type": "boolean"}),
        {"name": "if-none-match", "in": "header", "schema": {"type": "string"}},
    ]
    found = contract({"things": operation({}, parameters)})
    assert [target.partition("?")[2] for target in targets(found, things(2)) if "?" in target] == [
        "sort=size",
        "sort=name",
        "q=lemon+%26+co",
        "page=1",
        "page=9",
        "size=0",
        "size=1",
        "slug=thing+0",
        "slug=thing+1",
        "all=true",
        "all=false",
    ]


def test_only_reads_are_sent_and_no_more_than_there_may_be() -> None:
    many = {f"p{n}": operation({}) for n in range(MOST_READS + 9)}
    writing: dict[str, Any] = {"writing": {"post": {"responses": {}}, "delete": {"responses": {}}}}
    found = targets(contract({**writing, **many}), None)
    assert len(found) == MOST_READS
    assert "/writing" not in found


def test_reads_are_below_the_prefix_of_the_api() -> None:
    assert targets(contract(prefix="/things"), things(1)) == []
    assert targets(contract(prefix="/thin"), things(1)) == []
    paths = {"thin/a": operation({}), "health/live": operation({})}
    assert targets(contract(paths, "/thin"), things(1)) == ["/thin/a"]


def test_recording_ends_when_there_is_no_more_time() -> None:
    left = iter([True, False])
    assert len(contract().record(lambda target: Answer(200, things(3)), lambda: next(left))) == 1


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        ([], "is no description"),
        ({}, "is no description"),
        ({"openapi": "3.0.3", "paths": {}}, "OpenAPI 3.0.3"),
    ],
)
def test_what_describes_no_application_is_refused(description: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Contract(description, "")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (Answer(200, things(1)), Answer(200, things(9)), None),
        (Answer(200, things(1)), Answer(500), "answered 200 before the migration and 500 after it"),
        (Answer(200, things(1)), Answer(404), "answered 200 before the migration and 404 after it"),
        (Answer(404), Answer(200, things(1)), "answered 404 before the migration and 200 after it"),
        (Answer(200, things(1)), Answer(problem="is not answered: refused"), "is not answered: refused"),
        (
            Answer(200, things(1)),
            Answer(200, [{"slug": "s3cret", "size": "much s3cret"}]),
            'answers 200 with what its description does not allow: 0.size: a value is not of type "integer"',
        ),
        # What it did not keep before is no fault of the migration, and neither is what failed before.
        (Answer(200, [{}]), Answer(200, [{}]), None),
        (Answer(500), Answer(500), None),
        (Answer(503), Answer(200, things(1)), None),
        (Answer(problem="is not answered"), Answer(500), None),
    ],
)
def test_old_code_has_to_answer_as_it_did(before: Answer, after: Answer, reason: str | None) -> None:
    assert changed(contract(), LIST, before, after) == reason


@pytest.mark.parametrize(
    ("read", "answer", "before", "reason"),
    [
        (LIST, Answer(200, things(1)), [], None),
        (LIST, Answer(200, things(1)), [Answer(500)], None),
        (LIST, Answer(500), [], "answers 500, which its description does not know"),
        (LIST, Answer(404), [], "answers 404, which its description does not know"),
        (ONE, Answer(404), [], None),
        (LIST, Answer(problem="is not answered: refused"), [], "is not answered: refused"),
        (
            LIST,
            Answer(200, [{"slug": "a"}]),
            [],
            'answers 200 with what its description does not allow: 0: "size" is a required property',
        ),
    ],
)
def test_new_code_has_to_answer_as_it_says(
    read: Read, answer: Answer, before: list[Answer], reason: str | None
) -> None:
    assert broken(contract(), read, answer, before) == reason


def test_new_code_may_not_fail_where_old_code_did_not_though_it_says_that_it_may() -> None:
    found = contract({"model": operation({}, **{"503": {}})})
    read = Read("/model", "/model")
    assert broken(found, read, Answer(503), []) is None
    assert broken(found, read, Answer(503), [Answer(503)]) is None
    assert (
        broken(found, read, Answer(503), [Answer(503), Answer(404)])
        == "answers 503, and the code before it answered 404"
    )


def test_nothing_is_concluded_from_code_that_answers_nothing() -> None:
    assert unusable({LIST: Answer(500), ONE: Answer(200, THING)}) is None
    assert unusable({LIST: Answer(500), ONE: Answer(404)}) == (
        "none of its 2 reads succeeds: GET /things answers 500"
    )
    assert unusable({LIST: Answer(problem="is not answered: refused")}) == (
        "none of its 1 read succeeds: GET /things is not answered: refused"
    )
    assert unusable({}) == "its description has no read"


def test_a_refusal_names_one_failure_of_each_application_first() -> None:
    failures = [
        Failure("revision-3", LIST, "answers 500"),
        Failure("revision-3", ONE, "answers 500"),
        Failure("revision-2", LIST, "answers 404"),
        Failure("the new image", ONE, "is not answered: refused"),
    ]
    assert refusal(failures, ["0002", "0003"]) == (
        "code does not work with the database after 0002, 0003: revision-3: GET /things answers 500;"
        " revision-2: GET /things answers 404; the new image: GET /things/a is not answered: refused;"
        " and others"
    )
    assert refusal(failures[:1], ["0002"]).endswith(": revision-3: GET /things answers 500")


def test_a_refusal_is_bounded() -> None:
    long = Failure("revision-3", Read("/", "/" + "x" * 9_000), "y\n" * 9_000)
    text = refusal([long] * 9, [f"{n:04}" for n in range(999)])
    assert len(text) < 1_200
    assert "0004 and 994 more" in text
    assert "\n" not in text
