"""The sections `StoreAndForward` and `Transfers`: reasons not to start."""

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


def check_transfers(given: Mapping[str, Json]) -> Iterator[Refusal]:
    """Reasons not to start: numbers that are none, and a server that could receive nothing."""
    section = given.get("Transfers")
    if not isinstance(section, dict):
        return
    for name in _TRANSFER_NUMBERS:
        value = section.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            yield Refusal(5, f'The configuration option "Transfers.{name}" must be a positive integer')
        elif name in _TRANSFER_POSITIVES and not value:
            yield Refusal(3, f'The configuration option "Transfers.{name}" must not be 0')


_TRANSFER_POSITIVES = ("Threads", "BucketSize", "MaxPushTransactions", "CommitThreadsCount")
_TRANSFER_NUMBERS = (
    *_TRANSFER_POSITIVES,
    "CacheSize",
    "MaxHttpRetries",
    "PeerConnectivityTimeout",
    "PeerCommitTimeout",
)
