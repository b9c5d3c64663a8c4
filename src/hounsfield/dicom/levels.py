"""The four levels of the DICOM information model. PS3.4 C.6."""

from enum import IntEnum


class Level(IntEnum):
    """A level; its number is the one Orthanc stores."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    INSTANCE = 3

    @property
    def word(self) -> str:
        """The name in answers: `Patient`, `Study`, `Series`, `Instance`."""
        return _WORDS[self]

    @property
    def plural(self) -> str:
        """The name in addresses: `patients`, `studies`, `series`, `instances`."""
        return _PLURALS[self]


_WORDS = ("Patient", "Study", "Series", "Instance")
_PLURALS = ("patients", "studies", "series", "instances")
