"""The DIMSE status for each error, by the door through which all of them leave. PS3.4 B.2.3, PS3.7 Annex C."""

from collections.abc import Mapping
from types import MappingProxyType

from hounsfield.errors import ArchiveError, Corrupt, StorageFull
from hounsfield.ingest.c_store import DataSetMismatch
from hounsfield.ingest.intake import TurnedAway

OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000


STATUSES: Mapping[type[ArchiveError], int] = MappingProxyType(
    {
        ArchiveError: OUT_OF_RESOURCES,
        Corrupt: CANNOT_UNDERSTAND,
        DataSetMismatch: DATA_SET_MISMATCH,
        StorageFull: OUT_OF_RESOURCES,
    }
)
"""Looked up along the base classes of an error. PS3.4 Table B.2-1."""


def store_status(error: ArchiveError) -> int:
    """The status of a C-STORE that failed."""
    if isinstance(error, TurnedAway):
        return error.status
    return next(STATUSES[base] for base in type(error).__mro__ if base in STATUSES)
