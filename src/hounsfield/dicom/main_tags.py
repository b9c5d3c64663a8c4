"""Main DICOM tags: the attributes kept in the index at each level."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from hounsfield.dicom import json
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import Tag, format_tag
from hounsfield.dicom.values import KINDS, Kind, is_surely_longer

MAXIMUM_CHARACTERS = json.MAXIMUM_CHARACTERS

DEFAULTS: Mapping[Level, tuple[Tag, ...]] = MappingProxyType(
    {
        Level.PATIENT: (0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00101000),
        Level.STUDY: (
            0x00080020,
            0x00080030,
            0x00080050,
            0x00080080,
            0x00080090,
            0x00080201,
            0x00081030,
            0x0020000D,
            0x00200010,
            0x00321032,
            0x00321060,
        ),
        Level.SERIES: (
            0x00080021,
            0x00080031,
            0x00080060,
            0x00080070,
            0x00080201,
            0x00081010,
            0x0008103E,
            0x00081070,
            0x00180010,
            0x00180015,
            0x00180024,
            0x00181030,
            0x00181090,
            0x00181400,
            0x0020000E,
            0x00200011,
            0x00200037,
            0x00200105,
            0x00201002,
            0x00400244,
            0x00400245,
            0x00400254,
            0x00400275,
            0x00540081,
            0x00540101,
            0x00541000,
        ),
        Level.INSTANCE: (
            0x00080012,
            0x00080013,
            0x00080018,
            0x00200012,
            0x00200013,
            0x00200032,
            0x00200037,
            0x00200100,
            0x00204000,
            0x00280008,
            0x00541330,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class MainTags:
    """The tags kept at each level, in ascending order."""

    by_level: Mapping[Level, tuple[Tag, ...]]

    def signature(self, level: Level) -> str:
        """Name the set of tags of a level: `0008,0012;0008,0013`."""
        return ";".join(map(format_tag, self.by_level[level]))

    def tags(self, level: Level) -> tuple[Tag, ...]:
        """Give the tags of a level."""
        return self.by_level[level]

    def level_of(self, tag: Tag) -> Level | None:
        """Give the highest level that keeps a tag, patient being the highest; None if no level does."""
        return next((level for level in Level if tag in self.by_level[level]), None)


def main_tags(extra: Mapping[Level, Iterable[Tag]] = MappingProxyType({})) -> MainTags:
    """Make the set in force: the defaults and those configured as `ExtraMainDicomTags`."""
    return MainTags(
        MappingProxyType(
            {level: tuple(sorted({*tags, *extra.get(level, ())})) for level, tags in DEFAULTS.items()}
        )
    )


DEFAULT_MAIN_TAGS = main_tags()


def extract(dataset: Dataset, level: Level, main_tags: MainTags = DEFAULT_MAIN_TAGS) -> dict[str, str]:
    """Read the main tags of a level, by `gggg,eeee`.

    Absent, binary and null values are left out, and those over 256 characters; an empty text is kept.
    """
    elements = dataset.elements
    found: dict[str, str] = {}
    for tag, key in _keyed(main_tags.by_level[level]):
        if tag not in elements:
            continue
        if elements[tag][2] > MAXIMUM_CHARACTERS and is_surely_longer(dataset.raw(tag), MAXIMUM_CHARACTERS):
            continue
        text = dataset.text(tag)
        if text is None or len(text) > MAXIMUM_CHARACTERS:
            continue
        if not text and KINDS.get(dataset.vr(tag)) is not Kind.TEXT:
            continue
        found[key] = text
    return found


@lru_cache(maxsize=64)
def _keyed(tags: tuple[Tag, ...]) -> tuple[tuple[Tag, str], ...]:
    """Each tag with its text."""
    return tuple((tag, format_tag(tag)) for tag in tags)


def sequences(
    dataset: Dataset, level: Level, main_tags: MainTags = DEFAULT_MAIN_TAGS
) -> dict[str, json.JsonValue]:
    """Read the main tags of a level that are sequences, in the full format, by `gggg,eeee`."""
    chosen = [tag for tag in main_tags.by_level[level] if tag in dataset and dataset.vr(tag) == "SQ"]
    if not chosen:
        return {}
    return json.full(dataset, only=chosen)


def normalize(value: str) -> str:
    """Give the form in which identifiers are searched: without accents, upper case, trimmed.

    Two values with the same form are not the same identifier: a search compares the true values too.

    >>> normalize(" Müller^Zoé "), normalize("Strauß")
    ('MULLER^ZOE', 'STRAUSS')
    """
    if value.isascii():
        return value.strip(" \0").upper()
    decomposed = unicodedata.normalize("NFKD", value.casefold())
    return decomposed.encode("ascii", "ignore").decode("ascii").strip(" \0").upper()
