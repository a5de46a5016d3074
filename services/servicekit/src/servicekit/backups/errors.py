class BackupError(Exception):
    """A backup that could not be made, or is not good. The message says why."""
