"""Locks that servers of one index take against each other; they end with the connection that took them."""

import hashlib
import time

from hounsfield.errors import Conflict
from hounsfield.index.options import PostgresOptions
from hounsfield.index.postgres_session import Session

_PATIENCE_SECONDS = (
    3.0  # A server that was killed may hold its lock until its connection is noticed to be gone.
)
_PAUSE_SECONDS = 0.1


def lock_number(options: PostgresOptions, name: str) -> int:
    """The number of a lock of a schema, as PostgreSQL knows locks by numbers of 64 bits, for a whole database."""
    digest = hashlib.sha256(f"hounsfield {options.schema} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def try_lock(session: Session, options: PostgresOptions, name: str, *, is_shared: bool = False) -> bool:
    """Take a lock unless another connection has it."""
    function = "pg_try_advisory_lock_shared" if is_shared else "pg_try_advisory_lock"
    return session.ask(f"SELECT {function}(?)", (lock_number(options, name),)).fetchone() == (True,)


def unlock(session: Session, options: PostgresOptions, name: str) -> None:
    """Give a lock back."""
    session.ask("SELECT pg_advisory_unlock(?)", (lock_number(options, name),))


def take_lock(
    session: Session,
    options: PostgresOptions,
    name: str,
    *,
    is_shared: bool = False,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> bool:
    """Take a lock, waiting a little for it; with `is_shared` together with others that share it."""
    deadline = time.monotonic() + patience_seconds
    while not try_lock(session, options, name, is_shared=is_shared):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def take_server_lock(session: Session, options: PostgresOptions) -> None:
    """Be the only server of this index, or one of those that share it.

    Raises
    ------
    Conflict
        If another one is alone, or others are there where this one wants to be alone; the text is that of Orthanc.
    """
    if not take_lock(session, options, "server", is_shared=not options.is_locked):
        raise Conflict("The PostgreSQL database is locked by another instance of Orthanc")
