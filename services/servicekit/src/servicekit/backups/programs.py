"""pg_dump and pg_restore."""

import logging
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from psycopg import pq
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url

from servicekit.backups.errors import BackupError
from servicekit.settings import sqlalchemy_url

log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_SECONDS = 10


def require_version(program: str, server: str) -> None:
    """Raises BackupError when the program is missing, or has another major version than the server.

    A newer pg_dump writes settings that an older server does not know, and an older one refuses.
    """
    try:
        output = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise BackupError(f"{program} does not run: {error}") from error
    found = re.search(r"(\d+)\.\d+", output)
    if found is None or found[1] != major(server):
        raise BackupError(
            f"{program} is of version {output.split()[2]}, and the server of {server}: they need to have the"
            " same major version"
        )


def major(version: str) -> str:
    """The major version in a version such as 15.8."""
    return version.partition(".")[0]


def run(program: str, url: str, *arguments: str) -> None:
    """Runs pg_dump or pg_restore on the database at `url`, whose password is passed in the environment.

    Raises BackupError when it fails. Whatever ends this function ends the program and its workers too.
    """
    variables, rest = _connection(url)
    command = [program, "--no-password", *arguments, *rest]
    process = subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        _, errors = process.communicate()
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode != 0:
        raise BackupError(f"{program} failed: {_cause(errors) or f'exit code {process.returncode}'}")
    for line in errors.splitlines():
        log.warning("%s", line)


def _connection(url: str) -> tuple[dict[str, str], Sequence[str]]:
    """The environment variables for a connection, and arguments for what has no variable."""
    address = make_url(sqlalchemy_url(url))
    _, options = address.get_dialect()().create_connect_args(address)
    known = {option.keyword.decode(): option.envvar for option in pq.Conninfo.get_defaults()}
    variables = {"PGCONNECT_TIMEOUT": str(_CONNECT_TIMEOUT_SECONDS), "PGAPPNAME": "pitwall"}
    rest: dict[str, Any] = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    for name, value in options.items():
        if variable := known.get(name):
            variables[variable.decode()] = str(value)
        elif name.startswith("keepalives") or name == "tcp_user_timeout":
            rest[name] = value
        else:
            raise BackupError(f"pg_dump and pg_restore cannot take {name} from the database's address")
    # pg_restore connects only when it is told a database; the rest comes from the variables.
    return variables, ["--dbname", make_conninfo(**rest, dbname=address.database)]


def _cause(errors: str) -> str:
    """The first error that a program printed, in one line."""
    lines = [line for line in errors.splitlines() if line.strip()]
    found = [line for line in lines if " error: " in line] or lines
    return re.sub(r"^.*? error: ", "", found[0]) if found else ""
