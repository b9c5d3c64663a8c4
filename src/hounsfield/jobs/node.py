"""What the engine of one server works with."""

from collections.abc import Mapping
from dataclasses import dataclass

from hounsfield.jobs.floor import Floor
from hounsfield.jobs.kinds import JobKind
from hounsfield.jobs.ledger import EngineOptions, Ledger
from hounsfield.jobs.outputs import SharedOutputs
from hounsfield.jobs.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Node:
    """One server: `ledger` is what all servers know, `floor` and `shelf` what only this one does.

    `shared_outputs` are those of all servers on the same storage; None if this is the only one.
    """

    options: EngineOptions
    kinds: Mapping[str, JobKind]
    ledger: Ledger
    floor: Floor
    shelf: Shelf
    shared_outputs: SharedOutputs | None = None
