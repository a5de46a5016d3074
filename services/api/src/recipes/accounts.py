"""Users and their passwords."""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from recipes.models import UserRow
from servicekit.auth import Role
from servicekit.database import Database

SHORTEST_PASSWORD = 10

# OWASP's recommendation for Argon2id: 19 MiB, two passes. At most this many at once bounds the memory.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_hashing = threading.BoundedSemaphore(4)
# Checked for users that do not exist, so that they take as long as those that do.
_NOBODYS_HASH = _hasher.hash("nobody has this password")


def save_user(database: Database, username: str, password: str, role: Role) -> None:
    """Adds a user, or gives an existing one this password and role."""
    values = {"password_hash": _hasher.hash(password), "role": role}
    with database.session() as session:
        session.execute(
            insert(UserRow)
            .values(username=username, **values)
            .on_conflict_do_update(index_elements=["username"], set_=values)
        )


def authenticate(database: Database, username: str, password: str) -> Role | None:
    """The user's role when the password is right, else None. Takes as long for unknown users."""
    with database.session() as session:
        user = session.scalar(select(UserRow).where(UserRow.username == username))
    # No connection is held while hashing, which is slow on purpose.
    if not _verify(user.password_hash if user else _NOBODYS_HASH, password) or user is None:
        return None
    return "admin" if user.role == "admin" else "editor"


def _verify(password_hash: str, password: str) -> bool:
    with _hashing:
        try:
            return _hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
