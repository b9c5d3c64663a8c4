"""New identifiers in place of old ones, the same everywhere in one job.

A new identifier is a keyed hash of the old one. No table is kept: instances may be done in any order, by several
threads, and again after an interruption, and a reference always gets the identifier of what it refers to. Without the
key, which nobody keeps but the job, nothing leads back.
"""

import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID

from hounsfield.dicom.uids import new_uid, uid_name

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class UidMap:
    """The mapping that a key makes."""

    key: bytes

    def uid(self, old: str) -> str:
        """The new UID for an old one; one that the standard defines stays. PS3.5 B.2."""
        return old if uid_name(old) is not None else new_uid(self._uuid("uid", old))

    def patient_id(self, old: str) -> str:
        """The new Patient ID for an old one."""
        return str(self._uuid("patient", old))

    def _uuid(self, kind: str, old: str) -> UUID:
        digest = hmac.digest(self.key, f"{kind}|{old}".encode(), "sha256")
        return UUID(bytes=digest[:16], version=4)


def new_key() -> str:
    """A key for one job, in hexadecimal digits."""
    return secrets.token_hex(_KEY_BYTES)
