"""The command `database` of a service: `python -m SERVICE database migrate …`.

Standard output has one JSON object a line, an event each; the last one is the result. Logs go to standard
error. The exit code is 0, 1 when the operation failed, and 2 for wrong arguments.
"""

import logging
import os
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import Field

from servicekit.events import take_standard_output
from servicekit.logs import configure_logging
from servicekit.settings import DatabaseSettings, load_settings, passwords

if TYPE_CHECKING:
    from servicekit.migrations.applications import Applications
    from servicekit.migrations.operation import Operation

COPY_VARIABLE = "COPY_DATABASE_URL"
_AWS_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class BackupSettings(DatabaseSettings):
    """Where backups are stored, beside AWS_* as boto3 reads them."""

    # The address of a store other than Amazon's.
    backup_s3_endpoint: str | None = Field(None, pattern=r"https?://[^/?#]+/?$")
    # The key with which the store encrypts; without it, the store's own.
    backup_s3_kms_key: str | None = None


def _no_password(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    source = context.get_parameter_source(str(parameter.name))
    if source is not None and source.name == "COMMANDLINE" and passwords(value):
        raise typer.BadParameter(f"an address with a password belongs into the variable {COPY_VARIABLE}")
    return value


CopyOption = Annotated[
    str,
    typer.Option(
        envvar=COPY_VARIABLE,
        callback=_no_password,
        help="Address of a throw-away PostgreSQL server of the same major version, as superuser",
    ),
]
WorkOption = Annotated[Path, typer.Option(help="Folder with space for the dump")]
BackupOption = Annotated[str, typer.Option(help="Where backups are: s3://BUCKET/PREFIX")]
JobsOption = Annotated[int, typer.Option(min=1, max=32, help="Connections that dump and restore at once")]
OperationOption = Annotated[
    str | None, typer.Option(help="Name of the operation; one that was stopped uses its own backup again")
]
OldApplicationOption = Annotated[
    list[str] | None,
    typer.Option(
        "--old-application",
        metavar="NAME=URL",
        help="Code that runs now, served from the copy: has to work before and after; again for more",
    ),
]
NewApplicationOption = Annotated[
    str | None,
    typer.Option(
        "--new-application",
        metavar="URL",
        help="Code that will run, served from the copy: has to work after the migrations",
    ),
]
LockWaitOption = Annotated[
    float, typer.Option(min=0, max=3_600, help="Seconds to wait for another operation on the database")
]


def _applications(old: list[str] | None, new: str | None, description: str) -> "Applications":
    from servicekit.migrations.applications import Applications

    named = dict(_named(each) for each in old or [])
    if len(named) < len(old or []):
        raise typer.BadParameter("each --old-application needs a name of its own")
    for url in [*named.values(), *([new] if new else [])]:
        if not re.fullmatch(r"http://[^/?#@]+", url):
            raise typer.BadParameter(f"{url} is no address such as http://127.0.0.1:8101")
    return Applications(named, new, description)


def _named(text: str) -> tuple[str, str]:
    name, equals, url = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text} is not NAME=URL, such as revision-3=http://127.0.0.1:8101")
    return name, url


def database_commands(package: ModuleType, api_prefix: str = "/api") -> typer.Typer:
    """The commands for the database of the service in `package`, whose API is below `api_prefix`."""
    description = f"{api_prefix}/openapi.json"
    commands = typer.Typer(help="Change, back up and verify the database.", no_args_is_help=True)

    @commands.command()
    def state() -> None:
        """Print the revisions of the database and of the image. Changes nothing."""
        _run(package, lambda operation: operation.state(), with_result=False)

    @commands.command()
    def backup(
        work: WorkOption,
        backup: BackupOption,
        copy: CopyOption = "",
        verify: Annotated[
            bool, typer.Option("--verify", help="Restore it and compare; needs --copy")
        ] = False,
        keep_days: Annotated[
            int | None, typer.Option(min=1, help="Remove backups that are older; needs --verify")
        ] = None,
        keep_count: Annotated[
            int, typer.Option(min=1, help="The newest that --keep-days keeps whatever their age")
        ] = 7,
        operation: OperationOption = None,
        jobs: JobsOption = 2,
    ) -> None:
        """Make a backup."""
        from servicekit.backups import Retention

        if verify and not copy:
            raise typer.BadParameter("--verify needs --copy")
        if keep_days is not None and not verify:
            raise typer.BadParameter("--keep-days needs --verify: only a good backup lets older ones expire")
        keep = None if keep_days is None else Retention(keep_days, keep_count)
        options: dict[str, Any] = {"copy": copy, "work": work, "operation": operation, "jobs": jobs}
        _run(package, lambda operation: operation.backup(verify=verify, keep=keep), backup, **options)

    @commands.command()
    def verify(
        copy: CopyOption,
        work: WorkOption,
        backup: BackupOption,
        id: Annotated[str | None, typer.Option("--id", help="Which one; the newest without it")] = None,
        jobs: JobsOption = 2,
    ) -> None:
        """Restore a backup into a throw-away database and compare it with its manifest."""
        _run(package, lambda operation: operation.verify(id), backup, copy=copy, work=work, jobs=jobs)

    @commands.command()
    def observe(
        backup: BackupOption,
        id: Annotated[
            str | None, typer.Option("--id", help="Of a snapshot that was made since; a new one without it")
        ] = None,
    ) -> None:
        """Note what is in the database before a snapshot of its disk is made, and with --id after it."""
        _run(package, lambda operation: operation.observe(id), backup)

    @commands.command()
    def compare(
        backup: BackupOption, id: Annotated[str, typer.Option("--id", help="Of the snapshot")]
    ) -> None:
        """Compare the database, on a server that was restored from a snapshot, with what was noted of it."""
        _run(package, lambda operation: operation.compare(id), backup)

    @commands.command()
    def prune(
        backup: BackupOption,
        keep_days: Annotated[int, typer.Option(min=1, help="Remove what is older, in days")],
        keep_count: Annotated[int, typer.Option(min=1, help="The newest that stay whatever their age")] = 7,
    ) -> None:
        """Remove backups that have expired."""
        from servicekit.backups import Retention

        _run(package, lambda operation: operation.prune(Retention(keep_days, keep_count)), backup)

    @commands.command()
    def restore(
        copy: CopyOption,
        work: WorkOption,
        backup: BackupOption,
        operation: Annotated[str, typer.Option(help="Name of the operation; one that was stopped goes on")],
        id: Annotated[str | None, typer.Option("--id", help="Which one; the newest without it")] = None,
        before: Annotated[
            datetime | None,
            typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z"], help="The newest that was taken until then"),
        ] = None,
        target: Annotated[
            str | None, typer.Option(help="The revision that the code which serves was built for")
        ] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Restore into the throw-away database only")
        ] = False,
        lock_wait: LockWaitOption = 60.0,
        jobs: JobsOption = 2,
    ) -> None:
        """Put a backup into the place of the database, which is kept beside it."""
        options: dict[str, Any] = {
            "copy": copy,
            "work": work,
            "operation": operation,
            "lock_wait": lock_wait,
            "jobs": jobs,
        }
        _run(
            package,
            lambda operation: operation.restore(id, before, target=target, dry_run=dry_run),
            backup,
            **options,
        )

    @commands.command()
    def drift(copy: CopyOption) -> None:
        """Compare the database with an empty one that gets the same migrations, and with the models."""
        _run(package, lambda operation: operation.drift(), copy=copy)

    @commands.command()
    def migrate(
        copy: CopyOption,
        work: WorkOption,
        backup: Annotated[
            str | None, typer.Option(help="Where backups are: s3://BUCKET/PREFIX; not with --plan-only")
        ] = None,
        plan_only: Annotated[bool, typer.Option("--plan-only", help="Run on a copy only")] = False,
        allow_breaking: Annotated[
            bool, typer.Option("--allow-breaking", help="No code that needs the old shape runs any more")
        ] = False,
        longest: Annotated[
            float | None, typer.Option(min=1, help="Seconds that a migration may take on the copy")
        ] = None,
        target: Annotated[
            str, typer.Option(help="The revision to migrate to; the newest without it")
        ] = "heads",
        old_application: OldApplicationOption = None,
        new_application: NewApplicationOption = None,
        operation: OperationOption = None,
        lock_wait: LockWaitOption = 60.0,
        jobs: JobsOption = 2,
    ) -> None:
        """Back up, verify the backup, run on the restored copy, migrate, verify.

        Applications connect to the database pitwall_copy_applications on the server of --copy, which exists
        while this command runs.
        """
        if plan_only == (backup is not None):
            raise typer.BadParameter("give either --backup or --plan-only")
        options: dict[str, Any] = {
            "copy": copy,
            "work": work,
            "operation": operation,
            "lock_wait": lock_wait,
            "jobs": jobs,
            "applications": _applications(old_application, new_application, description),
        }
        if plan_only:
            _run(package, lambda operation: operation.plan(target, allow_breaking=allow_breaking), **options)
        else:
            _run(
                package,
                lambda operation: operation.migrate(target, allow_breaking=allow_breaking, longest=longest),
                backup,
                **options,
            )

    @commands.command()
    def downgrade(
        copy: CopyOption,
        work: WorkOption,
        backup: BackupOption,
        to: Annotated[str, typer.Option(help="The revision to go back to; -1 where that is clear")],
        lose_data: Annotated[
            bool, typer.Option("--lose-data", help="Go back although rows or values are lost by it")
        ] = False,
        needed: Annotated[
            list[str] | None,
            typer.Option(help="A revision that code which runs was built for; again for more"),
        ] = None,
        operation: OperationOption = None,
        lock_wait: LockWaitOption = 60.0,
        jobs: JobsOption = 2,
    ) -> None:
        """Back up, verify the backup, take migrations back on the restored copy, then in the database."""
        options: dict[str, Any] = {
            "copy": copy,
            "work": work,
            "operation": operation,
            "lock_wait": lock_wait,
            "jobs": jobs,
        }
        _run(
            package,
            lambda operation: operation.downgrade(to, lose_data=lose_data, needed=needed or []),
            backup,
            **options,
        )

    return commands


def _run(
    package: ModuleType,
    body: "Callable[[Operation], None]",
    backup: str | None = None,
    *,
    with_result: bool = True,
    **places: Any,
) -> None:
    # Only these commands need boto3: the others start faster without it.
    from servicekit.backups import Store
    from servicekit.migrations.operation import Operation, Places

    settings = load_settings(BackupSettings)
    try:
        store = backup and Store(backup, settings.backup_s3_endpoint, settings.backup_s3_kms_key)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    secrets = settings.secrets() | passwords(places.get("copy", ""))
    secrets |= {os.environ.get(name, "") for name in _AWS_SECRETS}
    report = take_standard_output(secrets)
    configure_logging(settings.log_level, secrets)
    # Alembic names each connection and plugin, and the events say what runs.
    for name in ("alembic", "botocore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    operation = Operation(settings, package, Places(store=store or None, **places), report)
    raise typer.Exit(operation.run(lambda: body(operation), result=with_result))
