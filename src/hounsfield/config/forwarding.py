"""The section `StoreAndForward`: reasons not to start."""

from collections.abc import Iterator, Mapping

from hounsfield.config.lenient_json import Json
from hounsfield.config.option import check
from hounsfield.config.refusal import Refusal
from hounsfield.config.table.network import FORWARDING_MEMBERS

_MEMBERS = {member.name: member for member in FORWARDING_MEMBERS}


def check_forwarding(given: Mapping[str, Json]) -> Iterator[Refusal]:
    """Reasons not to start."""
    section = given.get("StoreAndForward")
    for name, value in section.items() if isinstance(section, dict) else ():
        member = _MEMBERS.get(name)
        if member is None:
            yield Refusal(3, f'There is no option "{name}" in "StoreAndForward"')
        elif (refusal := check(member, value)) is not None:
            yield refusal
