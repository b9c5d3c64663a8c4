"""Instances that are safe on disk and acknowledged, while their rows still wait for a commit that many share."""

from hounsfield.store.area import FileKey


class Arriving:
    """Those of a server, by public id."""

    def __init__(self) -> None:
        self.is_possible = True
        """Whether the index took the last rows: if not, senders wait for the commit, and are told what is wrong."""
        self.released = 0
        """How many have left. While it does not change, an instance that the index did not have is not there."""
        self._keys: dict[str, FileKey] = {}

    def __contains__(self, public_id: str) -> bool:
        return public_id in self._keys

    def claim(self, public_id: str, key: FileKey) -> bool:
        """Say that an instance arrives in a file; False if it does already, in another one."""
        return self._keys.setdefault(public_id, key) is key

    def release(self, public_id: str) -> None:
        """The index has it, or never will."""
        self.released += (
            1  # Before it leaves, so that whoever claims it afterwards knows. By one thread at a time.
        )
        self._keys.pop(public_id, None)

    def withdraw(self, public_id: str) -> None:
        """Take back a claim: the index has the instance in another file."""
        self._keys.pop(public_id, None)
