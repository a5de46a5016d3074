"""Changing a live database: a verified backup and a dry run on its copy come before the migration."""

import dataclasses
import fcntl
import logging
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from alembic.config import Config
from alembic.runtime.migration import RevisionStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from servicekit import backups
from servicekit.backups import BackupError, Manifest, Replacement, Retention, Store
from servicekit.backups.snapshot import (
    origin_of,
    read_kind,
    reading,
    server_version,
    system_identifier,
)
from servicekit.migrations import steps
from servicekit.migrations.applications import COPY_NAME, Applications, Proof
from servicekit.migrations.catalogue import (
    DatabaseObject,
    read_catalogue,
    read_rows,
    structure_differences,
)
from servicekit.migrations.environment import alembic_config, migration_engine
from servicekit.migrations.examine import Direction, Examination, Examiner, Migration, unreadable
from servicekit.migrations.lock import OPERATION_LOCK_KEY, WAIT_SECONDS, Lock, MigrationError, exclusive
from servicekit.migrations.run import Event, Limits, Report, downgrade, explain_command, upgrade
from servicekit.settings import DatabaseSettings

log = logging.getLogger(__name__)

# A repeated operation uses its own backup again, unless the database has moved on for longer than this.
REUSE_SECONDS = 3_600.0

# What is known of a snapshot until it is compared.
_BEFORE, _EXPECTED = "before", "expected"

Choose = Callable[[ScriptDirectory, steps.Heads], list[RevisionStep]]


@dataclass(frozen=True)
class Places:
    """Where an operation works. A command that does not need one leaves it out."""

    # The address of the throw-away server on which copies are restored.
    copy: str = ""
    # A folder with space for the dump.
    work: Path = Path()
    store: Store | None = None
    # Connections that dump and restore at once.
    jobs: int = 2
    # Names this operation when it is repeated after a stop.
    operation: str | None = None
    # Seconds to wait for another operation on the same database.
    lock_wait: float = WAIT_SECONDS
    # What serves from the copy, and has to work before and after its migrations.
    applications: Applications = Applications()


@dataclass(frozen=True)
class _Change:
    """Migrations to run."""

    # From the revisions that a database is at, those that are still to run.
    choose: Choose
    examine: Callable[[Examiner], None]
    apply: Callable[[Limits, Report], None]
    outcome: str
    # Why they must not run, from what they did on the copy.
    refuse: Callable[[Examination], str | None]


class _Stopped(KeyboardInterrupt):
    """SIGTERM or SIGINT. psycopg cancels the running statement, and nothing takes it for its own error."""


class Operation:
    """One operation on the database of a service. It reports each step, and its result at the end."""

    def __init__(
        self, settings: DatabaseSettings, package: ModuleType, places: Places, report: Report
    ) -> None:
        assert package.__file__ is not None
        self._settings = settings
        self._package = package
        self._places = places
        self._report = report
        self._url = settings.sqlalchemy_url
        self._folder = Path(package.__file__).parent.parent
        self._config = self._config_for(self._url)
        self._origin = origin_of(self._url, package.__name__, settings.environment)
        self._result: Event = {
            "event": "result",
            "outcome": "failed",
            "from": [],
            "to": [],
            "backup": None,
            "examination": None,
            # Revisions that did not run, because code that runs now cannot live with them.
            "waiting": [],
            # Revisions that a downgrade takes back, newest first.
            "undone": [],
            # Rows that the present database has more than the backup, by table; fewer are negative.
            "lost": {},
            # Backups that expired and were removed.
            "removed": [],
            # Why those that have expired are still there.
            "unpruned": None,
            # How the database differs from what its migrations make.
            "differences": [],
            # How many reads each application answered after the migrations on the copy.
            "proven": {},
            "step": None,
            "message": "",
        }

    def state(self) -> None:
        """The revisions of the database and of the image, and those that are pending. Changes nothing."""
        heads, server = self._look()
        script = self._script()
        waiting = steps.pending(script, "heads", heads)
        self._report(
            {
                "event": "state",
                "heads": list(heads),
                "image": list(script.get_heads()),
                "pending": [_summary(steps.script_of(step)) for step in waiting],
                "server": server,
            }
        )

    def backup(self, *, verify: bool = False, keep: Retention | None = None) -> None:
        """Makes a backup. With `verify` it is restored and compared; then `keep` says which others expire."""
        with self._workspace() as work, ExitStack() as copies:
            with self._step("plan"):
                self._look()
            if verify:
                self._verified_copy(work, copies)
            else:
                self._stored_backup(work, self._reusable)
            made = self._result["backup"]
            message = f"the backup {made['id']} is stored"
            # Only behind a backup that is known to be good.
            if verify and keep:
                with self._step("prune") as details:
                    try:
                        self._result["removed"] = backups.prune(self._store(), keep, self._origin)
                        details["removed"] = self._result["removed"]
                    except BackupError as error:
                        # The backup is good all the same.
                        self._result["unpruned"] = details["problem"] = str(error)
                        message += f"; old ones were not removed: {error}"
        self._finish("backed-up", made["heads"], message)

    def verify(self, backup: str | None) -> None:
        """Restores a backup, the newest one without an id, and compares the copy with its manifest."""
        store = self._store()
        with self._workspace() as work, ExitStack() as copies:
            with self._step("verify-backup") as details:
                manifest = store.get(backup) if backup else store.newest()
                self._record_backup(manifest)
                details["backup"] = manifest.id
                self._restore_stored(manifest, work, copies)
        self._finish("verified", manifest.contents.heads, f"the backup {manifest.id} can be restored")

    def observe(self, backup: str | None) -> None:
        """Notes what is in the database before a snapshot of its disk is made; with its id, after it.

        Tables that changed between the two cannot be compared later.
        """
        store = self._store().snapshots()
        with self._step("observe") as details:
            if backup is None:
                manifest = backups.observe(self._url, self._origin)
                store.note(_BEFORE, manifest)
            elif found := store.noted(_EXPECTED, backup):
                # The longer after the snapshot, the more has changed.
                manifest = found
            else:
                before = store.noted(_BEFORE, backup)
                if before is None:
                    raise BackupError(
                        f"{store.location(backup)} does not say what was in the database before"
                    )
                manifest = backups.enclosed(before, backups.observe(self._url, self._origin))
                store.note(_EXPECTED, manifest)
            self._record_backup(manifest, store=store)
            details |= {"backup": manifest.id, "changed": manifest.changed}
        heads = manifest.contents.heads
        self._result["from"] = heads
        self._finish("observed", heads, f"{len(manifest.contents.rows)} tables are noted for {manifest.id}")

    def compare(self, backup: str) -> None:
        """Compares the database, on a server restored from a snapshot, with what was noted of it.

        The snapshot counts as a backup from then on.
        """
        store = self._store().snapshots()
        with self._step("compare", backup=backup) as details:
            finished = store.find(backup)
            manifest = finished or store.noted(_EXPECTED, backup)
            if manifest is None:
                raise BackupError(f"{store.location(backup)} does not say what has to be in the snapshot")
            self._refuse_other(manifest)
            self._record_backup(manifest, store=store)
            backups.compare(manifest, self._url)
            if finished is None:
                store.upload(manifest, Path())
            details |= {"changed": manifest.changed}
        self._finish("verified", manifest.contents.heads, f"the snapshot {backup} can be restored")

    def prune(self, keep: Retention) -> None:
        """Removes dumps, and manifests of snapshots, that have expired."""
        with self._step("prune") as details:
            for store in (self._store(), self._store().snapshots()):
                self._result["removed"] += backups.prune(store, keep, self._origin)
            details |= {"removed": self._result["removed"]}
        self._finish("pruned", [], f"{len(self._result['removed'])} backups have expired")

    def restore(
        self, backup: str | None, before: datetime | None, *, target: str | None, dry_run: bool
    ) -> None:
        """Puts a backup into the place of the database: this one, or the newest, taken until `before`.

        The present database takes no writes from then on and is kept beside the restored one. With `target`,
        the restored one is migrated to this revision before it serves. A dry run restores into the throw-away
        server only. Both report how many rows the present database has more.
        """
        store = self._store()
        assert self._places.operation is not None
        replacement = Replacement(self._url, self._places.operation)
        with self._step("plan") as details:
            manifest = store.get(backup) if backup else store.newest(before)
            self._refuse_other(manifest)
            self._record_backup(manifest)
            replacement.check()
            replacement.recover()
            details |= {"backup": manifest.id, "taken": manifest.taken, "replaced": replacement.replaced}
            if replacement.is_switched():
                # It was compared before the switch.
                self._record_backup(manifest, verified=True)
                self._finish("restored", list(self._look()[0]), f"{manifest.id} is in its place already")
                return
            with (
                exclusive(migration_engine(self._config), self._places.lock_wait, OPERATION_LOCK_KEY),
                reading(self._url) as connection,
            ):
                present = read_rows(connection, by_column=False)
            self._result["from"] = list(self._look()[0])
            self._result["lost"] = {
                table: rows.rows - manifest.contents.rows.get(table, 0)
                for table, rows in present.items()
                if rows.rows != manifest.contents.rows.get(table, 0)
            }
        with self._workspace() as work, ExitStack() as copies:
            if dry_run:
                with self._step("verify-backup", backup=manifest.id):
                    self._restore_stored(manifest, work, copies)
                    self._record_backup(manifest, verified=True)
                self._finish("planned", manifest.contents.heads, f"the backup {manifest.id} can be restored")
                return
            folder = work / "dump"
            with self._step("download"):
                store.download(manifest, folder)
            try:
                with self._step("hold"):
                    replacement.hold()
                with self._step("restore"):
                    replacement.restore(manifest, folder, jobs=self._places.jobs)
                    self._record_backup(manifest, verified=True)
                with self._step("migrate") as details:
                    details["to"] = self._migrate_restored(replacement.url, target)
                replacement.finish()
                with self._step("switch"):
                    replacement.switch()
            except Exception:
                try:
                    replacement.release()
                finally:
                    # Another attempt begins anew; only one that was stopped goes on with it.
                    replacement.drop()
                raise
            except BaseException:
                replacement.release()
                raise
        with self._step("verify"):
            heads, _ = self._look()
        self._finish(
            "restored",
            list(heads),
            f"the backup {manifest.id} is in its place, and what was there is kept as {replacement.replaced}",
        )

    def _migrate_restored(self, url: str, target: str | None) -> list[str]:
        """Nobody uses this database yet, so its migrations may take any lock."""
        config = self._config_for(url)
        script = self._script()
        if target is not None:
            required = self._require(target)
            steps.run(config, script, lambda heads: steps.pending(script, required, heads))
        return list(steps.read_heads(config, script))

    def drift(self) -> None:
        """Compares the database with an empty one that got the same migrations, and with the models.

        Raises MigrationError with every difference. Changes nothing.
        """
        with self._step("compare"):
            heads, _ = self._look()
            with reading(self._url) as connection:
                kind = read_kind(connection)
                found = read_catalogue(connection)
            with backups.empty(kind, self._places.copy) as copy:
                script = self._script()
                config = self._config_for(copy)
                steps.run(config, script, lambda _: steps.pending(script, heads, ()) if heads else [])
                with reading(copy) as connection:
                    expected = read_catalogue(connection)
            differences = structure_differences(expected, found)
            if set(heads) == set(script.get_heads()) and not differences:
                differences = steps.model_differences(self._config)
            self._result["differences"] = differences
            if differences:
                more = f"; and {len(differences) - 20} more" if len(differences) > 20 else ""
                raise MigrationError(
                    f"the database is not what its migrations make: {'; '.join(differences[:20])}{more}"
                )
        self._finish(
            "compared",
            list(heads),
            f"the database is what its migrations up to {', '.join(heads) or 'base'} make",
        )

    def plan(self, target: str, *, allow_breaking: bool) -> None:
        """Runs on a copy what `migrate` would run. Stores nothing and leaves the database as it is."""
        with self._step("plan") as details:
            change, waiting = self._plan(lambda heads: self._upgrade(target, heads, allow_breaking), details)
        if not waiting:
            self._finish("unchanged", self._result["from"], "no migration would run")
            return
        with self._workspace() as work, ExitStack() as copies:
            with self._step("copy"):
                folder = work / "dump"
                manifest = backups.dump(self._url, folder, self._origin, jobs=self._places.jobs)
                copy = self._restored(manifest, folder, copies)
            _, after = self._rehearse(copy, change, waiting)
        self._finish("planned", list(after), f"{_count(waiting)} would run")

    def migrate(self, target: str, *, allow_breaking: bool, longest: float | None = None) -> None:
        """Brings the database to `target`, behind a verified backup and a dry run on its copy.

        A migration that is `breaking`, and those behind it, wait until `allow_breaking` says that no code
        that needs the old shape runs any more. Refused when one takes longer than `longest` seconds on the
        copy.
        """
        self._change(lambda heads: self._upgrade(target, heads, allow_breaking, longest))

    def downgrade(self, revision: str, *, lose_data: bool, needed: Sequence[str] = ()) -> None:
        """Takes the database back to `revision`, behind a verified backup and a dry run on its copy.

        Refused when rows or values are gone from the copy, unless `lose_data`, and when it would undo one of
        `needed`: revisions that code which runs was built for.
        """
        self._change(lambda heads: self._downgrade(revision, heads, lose_data, needed))

    def _upgrade(
        self, requested: str, heads: steps.Heads, allow_breaking: bool, longest: float | None = None
    ) -> _Change:
        target: steps.Target = self._require(requested)
        pending = [steps.script_of(step) for step in steps.pending(self._script(), target, heads)]
        breaking = [number for number, script in enumerate(pending) if _says(script, "breaking")]
        if breaking and not allow_breaking:
            runs, waits = pending[: breaking[0]], pending[breaking[0] :]
            self._result["waiting"] = [script.revision for script in waits]
            parents = {parent for script in runs for parent in script._all_down_revisions}
            target = tuple(script.revision for script in runs if script.revision not in parents)

        def choose(script: ScriptDirectory, heads: steps.Heads) -> list[RevisionStep]:
            # Alembic takes no target for the base.
            return steps.pending(script, target, heads) if target else []

        def apply(limits: Limits, report: Report) -> None:
            if target:
                upgrade(self._settings, self._package, target, limits=limits, report=report)

        def refuse(examination: Examination) -> str | None:
            if differences := examination.model_differences:
                return f"the migrated copy differs from the models: {'; '.join(differences)}"
            long = [
                f"{migration.revision} took {direction.seconds:.0f} s"
                for migration, direction in _directions(examination)
                if longest is not None and direction.seconds > longest
            ]
            if long:
                return f"{', '.join(long)} on the copy; outside of the window {longest:.0f} s are allowed"
            return None

        return _Change(
            choose=choose,
            examine=lambda examiner: examiner.examine_pending(target),
            apply=apply,
            outcome="migrated",
            refuse=refuse,
        )

    def _downgrade(
        self, revision: str, heads: steps.Heads, lose_data: bool, needed: Sequence[str]
    ) -> _Change:
        target = self._resolve(revision, heads)

        def choose(script: ScriptDirectory, heads: steps.Heads) -> list[RevisionStep]:
            return list(script._downgrade_revs(target, heads))  # type: ignore[arg-type]

        undone = [steps.script_of(step).revision for step in choose(self._script(), heads)]
        if wanted := sorted(set(undone) & set(needed)):
            raise MigrationError(
                f"going back to {target} undoes {', '.join(wanted)}, which the code that serves was built"
                " for: take the code back first"
            )
        self._result["undone"] = undone

        def refuse(examination: Examination) -> str | None:
            lost = [f"{each.revision} loses {line}" for each in examination.migrations for line in each.lost]
            if not lost or lose_data:
                return None
            return f"going back loses data: {'; '.join(lost)}. It needs --lose-data"

        return _Change(
            choose=choose,
            examine=lambda examiner: examiner.examine_downgrade(target),
            apply=lambda limits, report: downgrade(
                self._settings, self._package, target, limits=limits, report=report
            ),
            outcome="downgraded",
            refuse=refuse,
        )

    def _resolve(self, revision: str, heads: steps.Heads) -> str:
        """The id of a revision that may be given as `-1`; that is ambiguous at a merge, and refused there."""
        if revision == "base":
            return revision
        script = self._script()
        if not revision.startswith("-"):
            return self._require(revision)
        if not revision[1:].isdigit():
            raise MigrationError(f"{revision} is not a revision, nor how many to go back, such as -1")
        for _ in range(int(revision[1:])):
            parents = [parent for head in heads for parent in script.get_revision(head)._all_down_revisions]
            if len(heads) != 1 or len(parents) > 1:
                raise MigrationError(
                    f"{revision} is ambiguous: before {', '.join(heads) or 'base'} are"
                    f" {', '.join(sorted(parents)) or 'none'}. Name the revision to go back to"
                )
            heads = tuple(parents)
            if not heads:
                return "base"
        return heads[0]

    def _require(self, target: str) -> str:
        """The id of the revision that `target` names. Raises MigrationError when this image has none."""
        try:
            found = self._script().get_revisions(target)
        except CommandError:
            found = ()
        if target != "heads" and len(found) != 1:
            raise MigrationError(f"this image has no single revision {target}")
        return target if target == "heads" else str(found[0].revision)

    def _change(self, make: Callable[[steps.Heads], _Change]) -> None:
        with ExitStack() as held:
            with self._step("plan") as details:
                engine = migration_engine(self._config)
                lock = held.enter_context(exclusive(engine, self._places.lock_wait, OPERATION_LOCK_KEY))
                change, waiting = self._plan(make, details)
            if not waiting:
                self._apply(change, lock)
                with self._step("verify"):
                    self._report_drift()
                self._finish("unchanged", self._result["from"], "no migration is to run")
                return
            with self._workspace() as work, ExitStack() as copies:
                copy = self._verified_copy(work, copies)
                examination, after = self._rehearse(copy, change, waiting)
            self._apply(change, lock)
            with self._step("verify"):
                self._verify(change, examination, after)
        self._finish(change.outcome, list(after), f"{_count(waiting)} ran")

    def _plan(self, make: Callable[[steps.Heads], _Change], details: Event) -> tuple[_Change, list[Script]]:
        """What is to run, and the migrations of it."""
        heads, server = self._look()
        change = make(heads)
        waiting = [steps.script_of(step) for step in change.choose(self._script(), heads)]
        details |= {"server": server, "pending": [_summary(script) for script in waiting]}
        return change, waiting

    def _look(self) -> tuple[steps.Heads, str]:
        """The database's heads and the server's version."""
        with reading(self._url) as connection:
            server = server_version(connection)
        heads = steps.read_heads(self._config, self._script())
        self._result |= {"from": list(heads), "to": list(heads)}
        return heads, server

    def _verified_copy(self, work: Path, copies: ExitStack) -> str:
        """The address of a copy, restored from a stored backup, that lives as long as `copies`."""
        manifest, reused = self._stored_backup(work, self._reusable)
        try:
            return self._verify_backup(manifest, work, copies)
        except BackupError as error:
            if not reused:
                raise
            log.warning("the backup of the stopped operation is not good, making another: %s", error)
        manifest, _ = self._stored_backup(work)
        return self._verify_backup(manifest, work, copies)

    def _stored_backup(
        self, work: Path, find: Callable[[], Manifest | None] = lambda: None
    ) -> tuple[Manifest, bool]:
        """The backup that `find` returns, else a new one, and whether it was found."""
        with self._step("backup") as details:
            found = find()
            manifest = found or self._back_up(work)
            self._record_backup(manifest)
            details |= {"backup": manifest.id, "bytes": manifest.bytes, "reused": found is not None}
        return manifest, found is not None

    def _verify_backup(self, manifest: Manifest, work: Path, copies: ExitStack) -> str:
        with self._step("verify-backup", backup=manifest.id):
            copy = self._restore_stored(manifest, work, copies)
            self._record_backup(manifest, verified=True)
            return copy

    def _reusable(self) -> Manifest | None:
        """The backup that this operation made before it was stopped, when the database is as it was then."""
        if self._places.operation is None:
            return None
        store = self._store()
        with reading(self._url) as connection:
            system = system_identifier(connection)
        for backup in store.ids():
            try:
                found = store.find(backup)
            except BackupError as error:
                log.warning("%s", error)
                continue
            if found is None:
                continue
            if found.age_seconds > REUSE_SECONDS:
                return None
            made = (found.operation, found.origin, found.system, sorted(found.contents.heads))
            if made == (self._places.operation, self._origin, system, sorted(self._result["from"])):
                return found
        return None

    def _back_up(self, work: Path) -> Manifest:
        """Dumps the database and stores the dump."""
        folder = work / "dump"
        manifest = backups.dump(
            self._url, folder, self._origin, jobs=self._places.jobs, operation=self._places.operation
        )
        self._result |= {"from": manifest.contents.heads, "to": manifest.contents.heads}
        self._store().upload(manifest, folder)
        # The verification works on what is stored.
        shutil.rmtree(folder)
        return manifest

    def _refuse_other(self, manifest: Manifest) -> None:
        if manifest.origin != self._origin:
            raise BackupError(
                f"the backup {manifest.id} is of another database, {_name(manifest.origin)},"
                f" instead of {_name(self._origin)}"
            )

    def _restore_stored(self, manifest: Manifest, work: Path, copies: ExitStack) -> str:
        self._refuse_other(manifest)
        folder = Path(tempfile.mkdtemp(dir=work)) / "restored"
        self._store().download(manifest, folder)
        copy = self._restored(manifest, folder, copies)
        shutil.rmtree(folder)
        return copy

    def _restored(self, manifest: Manifest, folder: Path, copies: ExitStack) -> str:
        name = COPY_NAME if self._places.applications else None
        return copies.enter_context(
            backups.restored(manifest, folder, self._places.copy, jobs=self._places.jobs, name=name)
        )

    def _rehearse(self, copy: str, change: _Change, waiting: list[Script]) -> tuple[Examination, steps.Heads]:
        """Runs the migrations on the copy. The applications have to work with it before and after."""
        applications = self._places.applications
        proof = Proof(applications)
        if applications.old:
            with self._step("record-reads") as details:
                backups.analyze(copy)
                details["reads"] = sum(proof.record().values())
        with self._step("dry-run"):
            examination, after = self._dry_run(copy, change)
        if applications:
            with self._step("replay-reads") as details:
                self._result["proven"] = proof.compare([script.revision for script in waiting])
                details["reads"] = sum(self._result["proven"].values())
        return examination, after

    def _dry_run(self, copy: str, change: _Change) -> tuple[Examination, steps.Heads]:
        """Runs the migrations on the copy. Returns what they did and the copy's revisions after them."""
        config = self._config_for(copy)
        examiner = Examiner(config, self._folder)
        examination = examiner.result
        try:
            change.examine(examiner)
        finally:
            self._result["examination"] = dataclasses.asdict(examination)
        for migration, direction in _directions(examination):
            if failure := direction.failure:
                raise MigrationError(
                    f"{migration.revision} fails on a copy of the database"
                    f" ({migration.file}:{failure.line}): {failure.message}"
                )
        script = self._script()
        after = steps.read_heads(config, script)
        if left := change.choose(script, after):
            names = ", ".join(steps.script_of(step).revision for step in left)
            raise MigrationError(
                f"the migrations ended well on a copy of the database, but it has no record of {names}"
            )
        if reason := change.refuse(examination):
            raise MigrationError(reason)
        return examination, after

    def _apply(self, change: _Change, lock: Lock) -> None:
        with self._step("migrate"):
            # Minutes may have passed since the lock was taken.
            lock.check()
            change.apply(Limits(lock=self._places.lock_wait), self._report_migration)

    def _report_migration(self, event: Event) -> None:
        if event["event"] in ("upgraded", "downgraded"):
            # What is known in case that the next migration fails.
            self._result["to"] = list(steps.read_heads(self._config, self._script()))
        self._report(event)

    def _verify(self, change: _Change, examination: Examination, expected: steps.Heads) -> None:
        """Raises MigrationError when the database is not as the copy was after the dry run."""
        script = self._script()
        heads = steps.read_heads(self._config, script)
        if set(heads) != set(expected):
            raise MigrationError(
                f"the database is at {', '.join(heads) or 'base'}, and the copy was at"
                f" {', '.join(expected) or 'base'}"
            )
        with reading(self._url) as connection:
            found = _names(read_catalogue(connection))
        directions = [direction for _, direction in _directions(examination)]
        first, last = _names(directions[0].before), _names(directions[-1].after)
        wrong = [f"{name} is missing" for name in sorted(last - first - found)]
        wrong += [f"{name} is still there" for name in sorted((first - last) & found)]
        if change.outcome == "migrated" and set(heads) == set(script.get_heads()):
            wrong += steps.model_differences(self._config)
        if wrong:
            raise MigrationError(f"the migrated database is not as the copy was: {'; '.join(wrong)}")

    def _report_drift(self) -> None:
        """A difference that no migration of this release made does not stop it."""
        script = self._script()
        if set(steps.read_heads(self._config, script)) == set(script.get_heads()):
            if differences := steps.model_differences(self._config):
                self._report({"event": "drift", "differences": differences})

    def _script(self) -> ScriptDirectory:
        """The image's migrations. Raises MigrationError with the place of one that cannot be loaded."""
        script = ScriptDirectory.from_config(self._config)
        try:
            heads = script.get_heads()
        except Exception as error:
            if found := unreadable(error, self._folder):
                raise MigrationError(f"{found.file}:{found.line} cannot be read: {found.message}") from error
            raise
        if len(heads) > 1:
            raise MigrationError(f"this image has {len(heads)} heads ({', '.join(heads)}): merge them")
        return script

    def _config_for(self, url: str) -> Config:
        config = alembic_config(self._settings, self._package)
        config.attributes["url"] = url
        # Reading must not wait for the lock; who changes the live database takes it.
        config.attributes["locked"] = True
        return config

    def _store(self) -> Store:
        assert self._places.store is not None
        return self._places.store

    def _record_backup(self, manifest: Manifest, verified: bool = False, store: Store | None = None) -> None:
        self._result["backup"] = {
            "id": manifest.id,
            "location": (store or self._store()).location(manifest.id),
            "bytes": manifest.bytes,
            "sha256": manifest.sha256,
            "rows": manifest.contents.rows,
            "checksums": manifest.contents.checksums,
            "heads": manifest.contents.heads,
            "server": manifest.server,
            "taken": manifest.taken,
            "changed": manifest.changed,
            "verified": verified,
        }

    def _finish(self, outcome: str, to: list[str], message: str) -> None:
        if outcome in ("verified", "backed-up"):
            self._result["from"] = to
        if outcome == "verified":
            self._result["backup"]["verified"] = True
        self._result |= {"outcome": outcome, "to": to, "message": message}

    @contextmanager
    def _workspace(self) -> Iterator[Path]:
        """A new folder in the work folder, removed at the end. What a killed process left goes first."""
        work = self._places.work
        work.mkdir(parents=True, exist_ok=True)
        with (work / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MigrationError(f"another process uses the folder {work}: give each its own") from None
            for left in work.glob("operation-*"):
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(prefix="operation-", dir=work) as folder:
                yield Path(folder)

    @contextmanager
    def _step(self, name: str, **facts: Any) -> Iterator[Event]:
        """Reports a step, with what the block adds to the event."""
        self._result["step"] = name
        self._report({"event": "step", "step": name, "state": "started"})
        began = time.monotonic()
        details: Event = dict(facts)

        def report(state: str) -> None:
            seconds = round(time.monotonic() - began, 3)
            self._report({"event": "step", "step": name, "state": state, "seconds": seconds, **details})

        try:
            yield details
        except BaseException:
            report("failed")
            raise
        report("done")
        self._result["step"] = None

    def run(self, body: Callable[[], None], *, result: bool = True) -> int:
        """Runs one of the methods above and reports the result, also after SIGTERM.

        Returns the exit code: 0, or 1 when it failed. Without `result`, only a failure is reported.
        """
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, _stop)
        try:
            body()
        except _Stopped as error:
            self._result |= {"outcome": "failed", "message": str(error)}
        except Exception as error:
            self._result |= {"outcome": "failed", "message": _explain(error)}
        else:
            if not result:
                return 0
        # From here on nothing is left to stop.
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        self._report(self._result)
        return 1 if self._result["outcome"] == "failed" else 0


def _stop(number: int, _frame: FrameType | None) -> None:
    # The end of a running transaction and of programs is not to be cut short by a second signal.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise _Stopped(f"stopped by {signal.Signals(number).name}; the same command goes on")


def _explain(error: Exception) -> str:
    """One sentence. An error that nobody expects is logged with its place, too."""
    if isinstance(error, MigrationError | BackupError):
        return str(error)
    if isinstance(error, CommandError):
        return explain_command(error)
    log.error("unexpected", exc_info=error)
    if isinstance(error, DBAPIError) and str(error.orig):
        return str(error.orig).splitlines()[0]
    return f"{type(error).__name__}: {error}"


def _directions(examination: Examination) -> list[tuple[Migration, Direction]]:
    """What ran, in the order in which it ran."""
    ups = [(each, each.upgrade) for each in examination.migrations if each.upgrade]
    downs = [(each, each.downgrade) for each in reversed(examination.migrations) if each.downgrade]
    return ups + downs


def _names(objects: list[DatabaseObject]) -> set[str]:
    return {
        f"{each.kind} {each.name}"
        + (" (not valid)" if str(each.facts.get("definition", "")).endswith(" NOT VALID") else "")
        for each in objects
    }


def _summary(script: Script) -> Event:
    return {
        "revision": script.revision,
        "message": script.doc,
        "breaking": bool(_says(script, "breaking")),
    }


def _says(script: Script, attribute: str) -> Any:
    return getattr(script.module, attribute, None)


def _name(origin: backups.Origin) -> str:
    return f"{origin.database} of {origin.service} in {origin.environment}"


def _count(migrations: list[Script]) -> str:
    return "1 migration" if len(migrations) == 1 else f"{len(migrations)} migrations"
