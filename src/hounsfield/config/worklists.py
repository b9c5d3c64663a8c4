"""The section `Worklists`, with the members of Orthanc's plugins: reasons not to start."""

from collections.abc import Iterator, Mapping

from hounsfield.config.lenient_json import Json
from hounsfield.config.refusal import Refusal


def check_worklists(given: Mapping[str, Json]) -> Iterator[Refusal]:
    """Reasons not to start."""
    section = given.get("Worklists")
    if not isinstance(section, dict) or section.get("Enable") is not True:
        return
    for name, kind in _KINDS.items():
        value = section.get(name, kind())
        is_odd = kind is int and (isinstance(value, bool) or (isinstance(value, int) and value < 0))
        if is_odd or not isinstance(value, kind):
            yield Refusal(5, f'The configuration option "Worklists.{name}" must be {_WORDS[kind]}')
            return
    folder = section.get("Directory") or section.get("Database")
    in_index = section.get("SaveInOrthancDatabase") is True
    if folder and in_index:
        yield Refusal(3, 'Set either "Directory" or "SaveInOrthancDatabase" of "Worklists", not both')
    elif not folder and not in_index:
        yield Refusal(3, 'Set "Directory" or "SaveInOrthancDatabase" of "Worklists"')
    elif folder and section.get("DeleteWorklistsDelay"):
        yield Refusal(3, '"DeleteWorklistsDelay" of "Worklists" needs "SaveInOrthancDatabase"')


_KINDS: dict[str, type] = {
    "Enable": bool,
    "Directory": str,
    "Database": str,
    "SaveInOrthancDatabase": bool,
    "FilterIssuerAet": bool,
    "LimitAnswers": int,
    "SetStudyInstanceUidIfMissing": bool,
    "DeleteWorklistsOnStableStudy": bool,
    "HousekeepingInterval": int,
    "DeleteWorklistsDelay": int,
    "LogMatchedWorklistIds": bool,
    "DeleteWorklistsOnCompletedStep": bool,
}
_WORDS: dict[type, str] = {bool: "a Boolean (true or false)", int: "a positive integer", str: "a string"}
