"""What code has to answer before and after a migration: reads that its own description (OpenAPI) gives.

Only decides. Whoever asks an application passes in the function that sends a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from jsonschema_rs import Draft202012Validator

# Reads of one application.
MOST_READS = 200
# Values that one parameter takes.
MOST_VALUES = 5
# Failures that a refusal names.
MOST_NAMED = 3
_LONGEST_TARGET = 120
_LONGEST_REASON = 160

_JSON = "application/json"


@dataclass(frozen=True)
class Read:
    """A GET."""

    # As the description has it: `/api/recipes/{slug}`.
    path: str
    # As it is sent: `/api/recipes/carbonara`.
    target: str


@dataclass(frozen=True)
class Answer:
    """What an application answered."""

    status: int = 0
    # The JSON of its body.
    content: Any = None
    # Why there is no answer, or none that can be read.
    problem: str | None = None


Recording = Mapping[Read, Answer]


@dataclass(frozen=True)
class Failure:
    """A read that an application cannot answer on the migrated database."""

    application: str
    read: Read
    reason: str
    status: int = 0
    method: str = "GET"


class Contract:
    """What an application says of itself."""

    def __init__(self, description: Any, prefix: str) -> None:
        """What it says of paths below `prefix`; others, such as /health, are no reads of its data.

        Raises ValueError for what is no description (OpenAPI 3.1).
        """
        if not isinstance(description, Mapping) or not isinstance(description.get("paths"), Mapping):
            raise ValueError("is no description in OpenAPI")
        if not str(description.get("openapi")).startswith("3.1"):
            raise ValueError(f"is a description in OpenAPI {description.get('openapi')} instead of 3.1")
        self._components = description.get("components", {})
        self._reads: dict[str, Mapping[str, Any]] = {
            path: operations["get"]
            for path, operations in description["paths"].items()
            if "get" in operations and path.startswith(f"{prefix}/")
        }
        # Of answers, by their path and status.
        self._validators: dict[tuple[str, int], Draft202012Validator] = {}

    def record(self, ask: Callable[[str], Answer], more: Callable[[], bool] = lambda: True) -> Recording:
        """Asks all reads, those without parameters first.

        A path's parameters take their values from the answers to what is above it: `/recipes/{slug}` has the
        slugs that `/recipes` shows. Parameters of a query take those that the description lists, and those
        that answers show under the same name. Ends early when `more` says so.
        """
        found: dict[Read, Answer] = {}
        for round_of_reads in (self._plain, self._filled, self._queried):
            for read in round_of_reads(found):
                if len(found) == MOST_READS or not more():
                    return found
                if read not in found:
                    found[read] = ask(read.target)
        return found

    def unasked(self, recording: Recording) -> list[str]:
        """Paths of which no read was made, because no answer shows what their parameters could be."""
        return sorted(set(self._reads) - {read.path for read in recording})

    def fault(self, read: Read, answer: Answer) -> str | None:
        """How an answer differs from the description; nothing when it does not."""
        if answer.problem is not None:
            return answer.problem
        described = self._reads[read.path]["responses"].get(str(answer.status))
        if described is None:
            return f"answers {answer.status}, which its description does not know"
        schema = described.get("content", {}).get(_JSON, {}).get("schema")
        if schema is None:
            return None
        key = (read.path, answer.status)
        if key not in self._validators:
            self._validators[key] = self._validator(schema)
        for error in self._validators[key].iter_errors(answer.content):
            place = ".".join(str(part) for part in error.instance_path) or "the answer"
            return (
                f"answers {answer.status} with what its description does not allow: {place}: {error.message}"
            )
        return None

    def _plain(self, _: Recording) -> Iterator[Read]:
        for path in self._reads:
            if "{" not in path:
                yield Read(path, path)

    def _filled(self, found: Recording) -> Iterator[Read]:
        for path in sorted(self._reads, key=lambda path: path.count("{")):
            names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
            if not names:
                continue
            above = [answer for read, answer in found.items() if path.startswith(f"{read.path}/")]
            rows = _rows(above, names)
            for row in _spread(rows):
                target = path
                for name, value in zip(names, row):
                    target = target.replace(f"{{{name}}}", quote(str(value), safe=""))
                yield Read(path, target)

    def _queried(self, found: Recording) -> Iterator[Read]:
        answers = list(found.values())
        for path in self._reads:
            if "{" in path:
                continue
            for parameter in self._reads[path].get("parameters", []):
                if parameter["in"] != "query":
                    continue
                name, schema = parameter["name"], parameter.get("schema", {})
                shown = (value for (value,) in _rows(answers, [name]))
                for value in _spread(self._values(schema, shown)):
                    text = str(value).lower() if isinstance(value, bool) else value
                    yield Read(path, f"{path}?{urlencode({name: text})}")

    def _values(self, schema: Mapping[str, Any], shown: Iterable[Any]) -> list[Any]:
        """The values of a parameter: what its schema lists, its limits, and what is shown and fits."""
        kinds = [schema, *schema.get("anyOf", [])]
        kinds += [kind["items"] for kind in kinds if "items" in kind]
        listed = [value for kind in kinds for value in [*kind.get("enum", []), *kind.get("examples", [])]]
        if any(kind.get("type") == "boolean" for kind in kinds):
            listed += [True, False]
        listed += [kind[limit] for kind in kinds for limit in ("minimum", "maximum") if limit in kind]
        fits = [
            self._validator(kind).is_valid for kind in kinds if "anyOf" not in kind and "items" not in kind
        ]
        return list(dict.fromkeys([*listed, *(value for value in shown if any(fit(value) for fit in fits))]))

    def _validator(self, schema: Mapping[str, Any]) -> Draft202012Validator:
        # Values of the database belong into no message.
        return Draft202012Validator({**schema, "components": self._components}, mask="a value")


def unusable(recording: Recording) -> str | None:
    """Why nothing can be concluded from what an application answered."""
    if any(200 <= answer.status < 300 and answer.problem is None for answer in recording.values()):
        return None
    if not recording:
        return "its description has no read"
    read, answer = next(iter(recording.items()))
    said = answer.problem or f"answers {answer.status}"
    return f"none of its {_count(len(recording))} succeeds: GET {read.target} {said}"


def changed(contract: Contract, read: Read, before: Answer, after: Answer) -> str | None:
    """Why an application that ran before a migration cannot go on after it, by one read.

    A read that failed before says nothing of the migration.
    """
    if before.problem is not None or before.status >= 500:
        return None
    if after.problem is not None:
        return after.problem
    if after.status != before.status:
        return f"answered {before.status} before the migration and {after.status} after it"
    fault = contract.fault(read, after)
    # What was no answer by the description before the migration is not the migration's fault.
    return fault if fault is not None and contract.fault(read, before) is None else None


def broken(contract: Contract, read: Read, answer: Answer, before: Sequence[Answer]) -> str | None:
    """Why an application cannot serve from the migrated database, by one read.

    `before`: what applications that run now answered to the same request before the migration.
    """
    well = [each.status for each in before if each.problem is None and each.status < 500]
    if answer.status >= 500 and well:
        return f"answers {answer.status}, and the code before it answered {well[0]}"
    return contract.fault(read, answer)


def refusal(failures: Sequence[Failure], migrations: Sequence[str]) -> str:
    """The sentence that refuses migrations: which applications fail, at which requests, and why."""
    firsts = {failure.application: failure for failure in reversed(failures)}.values()
    ordered = [*reversed(firsts), *(failure for failure in failures if failure not in firsts)]
    named = [
        f"{each.application}: {each.method} {_clip(each.read.target, _LONGEST_TARGET)}"
        f" {_clip(each.reason, _LONGEST_REASON)}"
        for each in ordered[:MOST_NAMED]
    ]
    more = ["and others"] if len(failures) > len(named) else []
    return f"code does not work with the database after {listed(migrations)}: {'; '.join([*named, *more])}"


def _rows(answers: Iterable[Answer], names: Sequence[str]) -> list[tuple[Any, ...]]:
    """The values that objects in answers have under all these names, each once."""
    rows: dict[tuple[Any, ...], None] = {}
    for answer in answers:
        for found in _objects(answer.content):
            row = tuple(found.get(name) for name in names)
            if all(isinstance(value, str | int) and not isinstance(value, bool) for value in row):
                rows[row] = None
    return list(rows)


def _objects(content: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, dict):
        yield content
        content = list(content.values())
    if isinstance(content, list):
        for each in content:
            yield from _objects(each)


def _spread(values: Sequence[Any]) -> list[Any]:
    """At most MOST_VALUES of them: the first, the last, and some between."""
    if len(values) <= MOST_VALUES:
        return list(values)
    last = len(values) - 1
    return [values[at * last // (MOST_VALUES - 1)] for at in range(MOST_VALUES)]


def listed(migrations: Sequence[str]) -> str:
    """Migrations for people."""
    return ", ".join(migrations[:5]) + (f" and {len(migrations) - 5} more" if len(migrations) > 5 else "")


def _clip(text: str, longest: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _count(reads: int) -> str:
    return "1 read" if reads == 1 else f"{reads} reads"
