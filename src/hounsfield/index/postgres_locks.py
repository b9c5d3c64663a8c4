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


def try_lock(session: Session, options: PostgresOptions, name: str) -> bool:
    """Take a lock unless another connection has it."""
    return session.ask("SELECT pg_try_advisory_lock(?)", (lock_number(options, name),)).fetchone() == (True,)


def unlock(session: Session, options: PostgresOptions, name: str) -> None:
    """Give a lock back."""
    session.ask("SELECT pg_advisory_unlock(?)", (lock_number(options, name),))


def take_lock(session: Session, options: PostgresOptions, name: str) -> bool:
    """Take a lock, waiting a little for it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not try_lock(session, options, name):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def take_server_lock(session: Session, options: PostgresOptions) -> None:
    """Be the only server of this index.

    Raises
    ------
    Conflict
        If there is another one; the text is that of Orthanc.
    """
    if not take_lock(session, options, "server"):
        raise Conflict("The PostgreSQL database is locked by another instance of Orthanc")
