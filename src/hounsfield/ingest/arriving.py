"""Instances that are safe on disk and acknowledged, while their rows still wait for a commit that many share."""

import threading
from collections.abc import Sequence

from hounsfield.dicom.levels import Level
from hounsfield.events import InstanceReceivedAgain
from hounsfield.store.area import FileKey


class Arriving:
    """Those of a server, by public id."""

    def __init__(self) -> None:
        self.is_possible = True
        """Whether the index took the last rows: if not, senders wait for the commit, and are told what is wrong."""
        self.released = 0
        """How many have left. While it does not change, an instance that the index did not have is not there."""
        self._keys: dict[str, FileKey] = {}
        self._again: dict[str, list[InstanceReceivedAgain]] = {}
        self._lock = threading.Lock()
        """Of what came again: it is either kept for who releases the first, or told of by who brought it."""

    def __contains__(self, public_id: str) -> bool:
        return public_id in self._keys

    def claim(self, public_id: str, key: FileKey) -> bool:
        """Say that an instance arrives in a file; False if it does already, in another one."""
        return self._keys.setdefault(public_id, key) is key

    def defer(self, again: InstanceReceivedAgain) -> bool:
        """Keep what came again until the first is released; False if that has left, or never came."""
        public_id = again.public_ids[Level.INSTANCE]
        with self._lock:
            is_arriving = public_id in self._keys
            if is_arriving:
                self._again.setdefault(public_id, []).append(again)
        return is_arriving

    def release(self, public_id: str) -> Sequence[InstanceReceivedAgain]:
        """The index has it, or never will: what came again meanwhile, to be told of after it."""
        with self._lock:
            self.released += 1  # Before it leaves, so that whoever claims it afterwards knows.
            return self._remove(public_id)

    def withdraw(self, public_id: str) -> Sequence[InstanceReceivedAgain]:
        """Take back a claim: the index has the instance in another file. What came again meanwhile."""
        with self._lock:
            return self._remove(public_id)

    def _remove(self, public_id: str) -> Sequence[InstanceReceivedAgain]:
        self._keys.pop(public_id, None)
        return self._again.pop(public_id, ())
