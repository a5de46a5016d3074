"""Snapshots of the disk under a database, which the platform of the server makes and restores.

Nobody can read what is in one at the moment that it is taken. What is the same in the live database before
and after it has to be the same on the server that is restored from it.
"""

import dataclasses

from servicekit.backups.errors import BackupError
from servicekit.backups.manifest import Manifest, Origin, content_differences, new_id
from servicekit.backups.snapshot import read_contents, read_kind, reading, system_identifier


def observe(url: str, origin: Origin) -> Manifest:
    """What is in the database now, by a new id."""
    with reading(url) as connection:
        backup, taken = new_id()
        return Manifest(
            id=backup,
            taken=taken,
            operation=None,
            origin=origin,
            system=system_identifier(connection),
            **dataclasses.asdict(read_kind(connection)),
            contents=read_contents(connection),
            files={},
        )


def enclosed(before: Manifest, after: Manifest) -> Manifest:
    """What a snapshot has to contain that was taken between two looks at the database.

    Raises BackupError when they are of two servers, the database was migrated between them, or every table
    changed.
    """
    if before.origin != after.origin or before.system != after.system:
        raise BackupError(
            f"{before.origin.database} is on another server than when the snapshot {before.id} was begun:"
            " make another"
        )
    first, last = before.contents, after.contents
    if (sorted(first.heads), sorted(first.objects)) != (sorted(last.heads), sorted(last.objects)):
        raise BackupError(
            f"the database was migrated while the snapshot {before.id} was made, so what is in it is not"
            " known: make another"
        )
    changed = sorted(
        table
        for table, rows in last.rows.items()
        if (first.rows.get(table), first.checksums.get(table)) != (rows, last.checksums[table])
    )
    if changed and len(changed) == len(last.rows):
        raise BackupError(
            f"every table changed while the snapshot {before.id} was made, so nothing in it can be compared:"
            " make another when less is written"
        )
    # Sequences only go on: they are at least where they were.
    contents = dataclasses.replace(
        first,
        rows={table: rows for table, rows in last.rows.items() if table not in changed},
        checksums={table: value for table, value in last.checksums.items() if table not in changed},
    )
    return dataclasses.replace(before, contents=contents, changed=changed)


def compare(expected: Manifest, url: str) -> None:
    """Reads everything in the database at `url`, on a server that was restored from a snapshot.

    Raises BackupError when it is no copy of that server, or contains something else.
    """
    with reading(url) as connection:
        system, kind = system_identifier(connection), read_kind(connection)
        if (system, kind) != (expected.system, expected.kind):
            raise BackupError(
                f"the restored server is no copy of the one that the snapshot {expected.id} is of: it is"
                f" {system}, PostgreSQL {kind.server}, instead of {expected.system}, PostgreSQL"
                f" {expected.server}"
            )
        found = read_contents(connection)
    contents = dataclasses.replace(
        found,
        rows={table: rows for table, rows in found.rows.items() if table not in expected.changed},
        checksums={table: value for table, value in found.checksums.items() if table not in expected.changed},
    )
    differences = content_differences(expected.contents, contents)
    differences += [f"table {table} is missing" for table in expected.changed if table not in found.rows]
    if differences:
        raise BackupError(f"the restored server differs from the snapshot: {'; '.join(differences[:20])}")
