"""The resources a job works on, as parameters and as instances."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.errors import NotFound
from hounsfield.index.database import Transaction
from hounsfield.index.resources import find_level
from hounsfield.index.sending import instances_in_order

_LEVELS = {level.word: level for level in Level}


def name_resources(tx: Transaction, public_ids: Iterable[str]) -> list[dict[str, str]]:
    """`[{"ID", "Type"}]` of the ids, in order of ids and each once.

    Raises
    ------
    NotFound
        If one does not exist.
    """
    named = []
    for public_id in sorted(set(public_ids)):
        level = find_level(tx, public_id)
        if level is None:
            raise NotFound(f"No such resource: {public_id}")
        named.append({"ID": public_id, "Type": level.word})
    return named


def instances_of(
    tx: Transaction, resources: Sequence[Mapping[str, str]], *, is_complete: bool = False
) -> list[PublicId]:
    """All instances of the resources, each once, in an order that does not change.

    What is gone is left out, or with `is_complete` is NotFound.
    """
    found: dict[PublicId, None] = {}
    for resource in resources:
        try:
            found.update(dict.fromkeys(instances_in_order(tx, _LEVELS[resource["Type"]], resource["ID"])))
        except NotFound:
            if is_complete:
                raise
    return list(found)


def listed_instances(parameters: Mapping[str, Any]) -> list[PublicId]:
    """The instances of a job as they were when it was submitted: none that comes or goes later moves its position."""
    listed: list[PublicId] = parameters["Instances"]
    return listed


def deleted_before_sent(public_id: str) -> NotFound:
    """What a job that sends tells of an instance that is no longer there."""
    return NotFound(f"The instance {public_id} was deleted before it could be sent")
