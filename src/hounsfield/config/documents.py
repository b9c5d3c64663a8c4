"""The option table as text: a commented configuration file, and the page of the documentation."""

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from hounsfield.config.lenient_json import Json
from hounsfield.config.option import Effect, Kind, Option, Section
from hounsfield.config.options import SECTIONS

_ADVANCED: Final = ("Jobs and archives", "Transcoding", "Performance", "Logs")
MAIN_SECTIONS: Final = tuple(section for section in SECTIONS if section.title not in _ADVANCED)
ADVANCED_SECTIONS: Final = tuple(section for section in SECTIONS if section.title in _ADVANCED)
_EXAMPLES: Final[dict[Kind, Json]] = {
    Kind.BOOLEAN: False,
    Kind.COUNT: 0,
    Kind.TEXT: "",
    Kind.PATH: "",
    Kind.TEXTS: [],
    Kind.TEXT_OR_TEXTS: [],
    Kind.OBJECT: {},
    Kind.BOOLEAN_OR_TEXT: "",
}


def sample(sections: Iterable[Section] = SECTIONS) -> str:
    """A configuration file with every option at its default; those without one are commented out."""
    return "\n".join(["{", *list(_sample_lines(sections))[1:], "}", ""])


def _sample_lines(sections: Iterable[Section]) -> Iterator[str]:
    for section in sections:
        yield from ("", "  /**", f"   * {section.title}", "   **/")
        for option in section.options:
            yield ""
            yield from (f"  // {line}" for line in textwrap.wrap(_explanation(option), 90))
            value = json.dumps(_EXAMPLES[option.kind] if option.default is None else option.default)
            yield f'  {"// " if option.default is None else ""}"{option.name}": {value},'


def _explanation(option: Option) -> str:
    parts = [option.meaning]
    if option.choices:
        parts.append(f"One of: {', '.join(option.choices)}.")
    if option.unit:
        parts.append(f"Unit: {option.unit}.")
    if option.effect is not Effect.ACTS:
        parts.append(f"No effect yet: {option.reason}.")
    return " ".join(parts).replace("`", "")


_HEAD: Final = """\
# Configuration

<!-- Written by tools/make_docs.py from the table of options; edit src/hounsfield/config/table/ instead. -->

Hounsfield reads the configuration files of Orthanc. `hounsfield config > hounsfield.json` writes a commented file
with every option at its default; remove what you do not change.

## Where options come from

1. The files and folders named on the command line. A folder stands for the `*.json` directly inside it. The same
   option in two files is an error that names both.
2. `*.json` in `/run/secrets`, then the variable `ORTHANC_JSON` (a whole file as text).
3. Environment variables: `ORTHANC__STABLE_AGE=30` sets `StableAge`, `ORTHANC__DICOM_WEB__ROOT` sets `Root` inside
   `DicomWeb`; `HOUNSFIELD__STABLE_AGE` works as well and wins. Values are JSON where they can be.
4. Files in `/run/secrets` that are named like these variables.

Later ones win. Files are JSON with `//` and `/* */` comments and trailing commas; `${VAR}` and `${VAR:-default}` in
a file are replaced from the environment before it is read. Relative paths start from the folder of the
configuration. An option without effect, and a name that does not exist, are reported in the logs at start; an option
of the wrong type stops the start with exit code 255, and so does what protects patients' data and cannot be honoured
(the section `Authorization`, a Lua script that decides who has access).

Without any configuration, Hounsfield listens on 127.0.0.1 only and keeps everything in `HounsfieldStorage` in the
current folder.

## Options
"""


def markdown() -> str:
    """The page `docs/configuration.md`."""
    return "\n".join([_HEAD, *(line for section in SECTIONS for line in _markdown_section(section))])


def _markdown_section(section: Section) -> Iterator[str]:
    yield f"### {section.title}\n"
    yield "| option | type | default | meaning | effect |"
    yield "|---|---|---|---|---|"
    for option in section.options:
        yield f"| `{option.name}` | {_type(option)} | {_default(option)} | {_meaning(option)} | {_effect(option)} |"
    yield ""


def _type(option: Option) -> str:
    name = option.kind.value.removeprefix("an ").removeprefix("a ").partition(" (")[0].partition(",")[0]
    return f"{name} ({option.unit})" if option.unit else name


def _default(option: Option) -> str:
    return "not set" if option.default is None else f"`{json.dumps(option.default)}`"


def _meaning(option: Option) -> str:
    parts = [option.meaning.replace("|", "\\|")]
    if option.choices and not all(f"`{choice}`" in option.meaning for choice in option.choices):
        parts.append(f"One of {', '.join(f'`{choice}`' for choice in option.choices)}.")
    if option.minimum is not None or option.maximum is not None:
        low = "" if option.minimum is None else f"at least {option.minimum}"
        high = "" if option.maximum is None else f"at most {option.maximum}"
        parts.append(f"{', '.join(part for part in (low, high) if part).capitalize()}.")
    if option.ours:
        parts.append("Not an option of Orthanc.")
    if option.since:
        parts.append(f"(Orthanc {option.since})")
    return " ".join(parts)


def _effect(option: Option) -> str:
    return "yes" if option.effect is Effect.ACTS else f"no: {option.reason}"
