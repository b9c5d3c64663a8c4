"""Options given as environment variables, and as files of a container's secrets folder.

`ORTHANC__STABLE_AGE` is `StableAge`, `ORTHANC__DICOM_WEB__ROOT` is `Root` inside `DicomWeb`. Names are found by
ignoring underscores and case, so that every spelling of an acronym works; a name nobody knows is written in
camel case. `HOUNSFIELD__` works as well and wins over `ORTHANC__`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hounsfield.config.lenient_json import Json, parse
from hounsfield.config.option import Kind
from hounsfield.config.options import OPTIONS, PLUGIN_SECTIONS
from hounsfield.config.refusal import refuse
from hounsfield.errors import Corrupt

PREFIXES = ("ORTHANC__", "HOUNSFIELD__")


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable: the words of the path to the option, and its text, which may be a secret."""

    variable: str
    words: tuple[str, ...]
    text: str


def settings(variables: Mapping[str, str]) -> Iterator[Setting]:
    """The variables that are options: Orthanc's prefix before ours, whole objects before what is inside them."""
    for prefix in PREFIXES:
        found = [
            Setting(name, tuple(name.removeprefix(prefix).split("__")), text)
            for name, text in variables.items()
            if name.startswith(prefix) and all(name.removeprefix(prefix).split("__"))
        ]
        yield from sorted(found, key=lambda setting: (len(setting.words), setting.variable))


def secrets(folder: Path) -> dict[str, str]:
    """The files of a secrets folder that are named like variables, without the end of line editors add."""
    if not folder.is_dir():
        return {}
    try:
        return {
            path.name: path.read_text(encoding="utf-8").rstrip("\r\n")
            for path in sorted(folder.iterdir())
            if path.name.startswith(PREFIXES) and path.is_file()
        }
    except (OSError, UnicodeDecodeError) as cause:
        raise refuse(15, f"A secret of {folder} cannot be read") from cause


def apply(values: dict[str, Json], found: Iterable[Setting]) -> None:
    """Put settings into a configuration, over what it already says."""
    for setting in found:
        target = values
        *outer, last = setting.words
        names: list[str] = []
        for word in outer:
            names.append(_name(word, names, target))
            inner = target.get(names[-1])
            inner = dict(inner) if isinstance(inner, dict) else {}
            target[names[-1]] = inner
            target = inner
        names.append(_name(last, names, target))
        target[names[-1]] = _value(names, setting.text)


def _name(word: str, outer: list[str], siblings: Mapping[str, Json]) -> str:
    """The name that a word of a variable stands for."""
    known: Iterable[str] = siblings
    if not outer:
        known = (*OPTIONS, *PLUGIN_SECTIONS, *siblings)
    elif outer[0] in OPTIONS and isinstance(default := OPTIONS[outer[0]].default, dict):
        known = (*default, *siblings)
    bare = word.replace("_", "").casefold()
    for name in known:
        if name.replace("_", "").casefold() == bare:
            return name
    return "".join(part.capitalize() for part in word.split("_"))


def _value(names: list[str], text: str) -> Json:
    """The value of a variable: JSON where it can be, except that an option that is a string takes it as it is."""
    option = OPTIONS.get(names[0]) if len(names) == 1 else None
    if option is not None and option.kind in (Kind.TEXT, Kind.PATH) and not text.startswith('"'):
        return text
    try:
        return parse(text).value
    except Corrupt:
        return text
