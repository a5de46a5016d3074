"""Old and new code against the same copy of a database: asked before its migrations, and again after them."""

from __future__ import annotations

import http.client
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from servicekit.migrations.lock import MigrationError
from servicekit.migrations.reads import (
    Answer,
    Contract,
    Failure,
    Read,
    Recording,
    broken,
    changed,
    listed,
    refusal,
    unusable,
)

log = logging.getLogger(__name__)

# The database on the throw-away server that applications connect to.
COPY_NAME = "applications"
NEW = "the new image"

# Seconds in which an application starts, and for one answer.
_START_SECONDS = 180.0
_ANSWER_SECONDS = 90.0
# Seconds after which no further read of an application is made.
_RECORD_SECONDS = 300.0
# A read that fails is repeated: a busy machine says nothing of a migration.
_TRIES = 3
_PAUSE_SECONDS = 1.0
# Failed reads of one application after which the others are not asked any more.
_MOST_FAILURES = 5


@dataclass(frozen=True)
class Applications:
    """What serves beside the copy, each at its address, such as `http://127.0.0.1:8101`."""

    # By name: revisions that run before the migrations, and may run after them.
    old: Mapping[str, str] = field(default_factory=dict)
    # The image that will serve.
    new: str | None = None
    # Where each has its description.
    description: str = "/api/openapi.json"

    def __bool__(self) -> bool:
        return bool(self.old) or self.new is not None


class Proof:
    """Whether applications work with a database before and after its migrations."""

    def __init__(self, applications: Applications) -> None:
        self._applications = applications
        self._recorded: dict[str, tuple[_Application, Contract, Recording]] = {}

    def record(self) -> dict[str, int]:
        """Has the old applications answer their reads. Returns how many each has answered.

        Raises MigrationError when one does not start, or succeeds with none of them: nobody could tell what
        the migrations do to it.
        """
        for name, address in self._applications.old.items():
            application = _Application(name, address, self._applications.description)
            contract = application.start()
            recording = application.record(contract)
            if reason := unusable(recording):
                raise MigrationError(f"{name} cannot be compared, before any migration runs: {reason}")
            self._recorded[name] = (application, contract, recording)
        return {name: len(recording) for name, (_, _, recording) in self._recorded.items()}

    def compare(self, migrations: Sequence[str]) -> dict[str, int]:
        """Repeats the reads of the old applications, and asks those of the new one. Returns how many each.

        `migrations`: those that have run. Raises MigrationError with the reads that fail.
        """
        failures: list[Failure] = []
        counts: dict[str, int] = {}
        for name, (application, contract, recording) in self._recorded.items():
            counts[name] = len(recording)
            failures += application.failures(
                recording, lambda read, answer: changed(contract, read, recording[read], answer)
            )
        if self._applications.new is not None:
            new = _Application(NEW, self._applications.new, self._applications.description)
            contract = new.start()
            recording = new.record(contract)
            if reason := unusable(recording):
                raise MigrationError(
                    f"{NEW} does not work with the database after {listed(migrations)}: {reason}"
                )
            counts[NEW] = len(recording)
            earlier = self._by_target()
            failures += new.failures(
                recording,
                lambda read, answer: broken(contract, read, answer, earlier.get(read.target, [])),
                recording,
            )
        if failures:
            raise MigrationError(refusal(failures, migrations))
        return counts

    def _by_target(self) -> dict[str, list[Answer]]:
        found: dict[str, list[Answer]] = {}
        for _, _, recording in self._recorded.values():
            for read, answer in recording.items():
                found.setdefault(read.target, []).append(answer)
        return found


class _Application:
    def __init__(self, name: str, address: str, description: str) -> None:
        self.name = name
        self._host = urlsplit(address).netloc
        self._description = description

    def start(self) -> Contract:
        """Waits until it answers. Raises MigrationError when it does not, or has no description."""
        deadline = time.monotonic() + _START_SECONDS
        while (answer := self.ask("/health/live")).status != 200:
            if time.monotonic() > deadline:
                said = answer.problem or f"answers {answer.status}"
                raise MigrationError(f"{self.name} does not start beside the copy: GET /health/live {said}")
            time.sleep(_PAUSE_SECONDS)
        answer = self.ask(self._description)
        try:
            if answer.status != 200 or answer.problem is not None:
                raise ValueError(answer.problem or f"answers {answer.status}")
            return Contract(answer.content, self._description.rpartition("/")[0])
        except ValueError as error:
            raise MigrationError(
                f"{self.name} does not describe itself: GET {self._description} {error}"
            ) from error

    def record(self, contract: Contract) -> Recording:
        """Its answers to all of its reads."""
        deadline = time.monotonic() + _RECORD_SECONDS
        recording = contract.record(self.ask, lambda: time.monotonic() < deadline)
        if paths := contract.unasked(recording):
            log.info("%s: no read of %s", self.name, ", ".join(paths))
        return recording

    def failures(
        self,
        reads: Recording,
        judge: Callable[[Read, Answer], str | None],
        answers: Recording | None = None,
    ) -> list[Failure]:
        """The reads that `judge` finds a reason against, also when they are repeated.

        `answers`: those that it gave already.
        """
        found: list[Failure] = []
        for read in reads:
            answer = answers[read] if answers is not None else self.ask(read.target)
            reason = judge(read, answer)
            for _ in range(_TRIES - 1):
                if reason is None:
                    break
                time.sleep(_PAUSE_SECONDS)
                answer = self.ask(read.target)
                reason = judge(read, answer)
            if reason is not None:
                found.append(Failure(self.name, read, reason, answer.status))
            if len(found) == _MOST_FAILURES:
                break
        return found

    def ask(self, target: str) -> Answer:
        connection = http.client.HTTPConnection(self._host, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", target, headers={"Accept": "application/json"})
            response = connection.getresponse()
            body = response.read()
            if "json" not in response.headers.get("Content-Type", ""):
                return Answer(response.status)
            return Answer(response.status, json.loads(body))
        except json.JSONDecodeError:
            return Answer(response.status, problem="answers with what is no JSON")
        except (OSError, http.client.HTTPException) as error:
            return Answer(problem=f"is not answered: {str(error) or type(error).__name__}")
        finally:
            connection.close()
