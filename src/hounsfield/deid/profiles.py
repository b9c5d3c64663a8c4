"""The Basic Application Level Confidentiality Profile in its editions. PS3.15 Table E.1-1.

The table is written by `tools/make_profiles.py` and never edited.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files

from hounsfield.dicom.tags import Tag

DEFAULT_EDITION = "2023b"
EDITIONS = ("2008", "2017c", "2021b", "2023b")
_GROUP_OF_REPEATING = 0xFF00FFFF
_CURVES = 0x5000


class Action(Enum):
    """What a profile does with an attribute."""

    REMOVE = "X"
    CLEAR = "Z"
    MAP_UID = "U"


@dataclass(frozen=True, slots=True)
class Profile:
    """One edition: actions by tag; `repeating` are removed in every group of their kind (PS3.5 7.6)."""

    edition: str
    actions: Mapping[Tag, Action]
    repeating: frozenset[Tag]
    removes_curves: bool

    def action(self, tag: Tag) -> Action | None:
        """What is to be done with an attribute; None to leave it."""
        found = self.actions.get(tag)
        if found is None and 0x50000000 <= tag < 0x61000000:
            if tag & _GROUP_OF_REPEATING in self.repeating:
                return Action.REMOVE
            if self.removes_curves and tag >> 16 & 0xFF00 == _CURVES:
                return Action.REMOVE
        return found

    @property
    def description(self) -> str:
        """The words for De-identification Method (0012,0063)."""
        if self.edition == "2008":
            return "PS 3.15-2008 Table E.1-1"
        return f"PS 3.15-{self.edition} Table E.1-1 Basic Profile"


@cache
def profile(edition: str) -> Profile:
    """The profile of an edition, one of `EDITIONS`."""
    actions: dict[Tag, Action] = {}
    repeating: set[Tag] = set()
    removes_curves = False
    column = EDITIONS.index(edition) + 1
    for line in files(__package__).joinpath("profiles.tsv").read_text("ascii").splitlines()[1:]:
        fields = line.split("\t")
        if fields[column] == "-":
            continue
        if fields[0] == "50xxxxxx":
            removes_curves = True
        elif "x" in fields[0]:
            repeating.add(int(fields[0].replace("x", "0"), 16))
        else:
            actions[int(fields[0], 16)] = Action(fields[column])
    return Profile(edition, actions, frozenset(repeating), removes_curves)
