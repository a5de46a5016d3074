"""Which backups of a database are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from servicekit.backups.errors import BackupError
from servicekit.backups.manifest import Origin, taken_at
from servicekit.backups.store import Store


@dataclass(frozen=True)
class Retention:
    """Keeps the backups of the last `days` days, and the newest `count` whatever their age."""

    days: int
    count: int

    def expired(self, ids: Sequence[str], finished: Sequence[str], now: datetime) -> list[str]:
        """Those of `ids` to remove. `finished` are the complete ones of them, the newest first."""
        kept = finished[: self.count]
        if len(kept) < self.count:
            return []
        limit = now - timedelta(days=self.days)
        return [backup for backup in ids if backup not in kept and taken_at(backup) < limit]


def prune(store: Store, keep: Retention, origin: Origin) -> list[str]:
    """Removes the backups that have expired, also those that were never finished, and returns their ids.

    Raises BackupError for a backup of another database, or when the store refuses; those that are named
    before are removed.
    """
    ids = store.ids()
    finished: list[str] = []
    for backup in ids:
        if len(finished) == keep.count:
            break
        if found := store.find(backup):
            _refuse_other(store, backup, found.origin, origin)
            finished.append(backup)
    expired = keep.expired(ids, finished, datetime.now(UTC))
    for backup in expired:
        if found := store.find(backup):
            _refuse_other(store, backup, found.origin, origin)
        store.remove(backup)
    return expired


def _refuse_other(store: Store, backup: str, found: Origin, origin: Origin) -> None:
    if found != origin:
        raise BackupError(f"{store.location(backup)} is of another database, so none is removed there")
