"""Backups of a PostgreSQL database: made in one snapshot, kept in S3, proven by restoring them."""

from servicekit.backups.errors import BackupError
from servicekit.backups.manifest import Manifest, Origin
from servicekit.backups.observed import compare, enclosed, observe
from servicekit.backups.replacement import Replacement
from servicekit.backups.retention import Retention, prune
from servicekit.backups.snapshot import dump
from servicekit.backups.store import Store
from servicekit.backups.throwaway import analyze, empty, restored

__all__ = [
    "BackupError",
    "Manifest",
    "Origin",
    "Replacement",
    "Retention",
    "Store",
    "analyze",
    "compare",
    "dump",
    "empty",
    "enclosed",
    "observe",
    "prune",
    "restored",
]
