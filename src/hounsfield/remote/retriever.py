"""C-MOVE and C-GET as user: fetching from a modality what a query found there. PS3.4 C.4.2 and C.4.3."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hounsfield.dicom.keys import Keys, write_keys
from hounsfield.dicom.levels import Level
from hounsfield.dicom.uids import STORAGE_SOP_CLASSES
from hounsfield.net.dimse import CommandField, CommandValue
from hounsfield.net.items import AsynchronousWindow, RoleSelection
from hounsfield.net.scu import Answer, Perform, Proposal
from hounsfield.remote.dialing import ScuOptions, associated, context_of, local_ae_title
from hounsfield.remote.finder import LEVEL_NAMES, QUERY_RETRIEVE_LEVEL, TRANSFER_SYNTAXES
from hounsfield.remote.modality import Modality
from hounsfield.store.spool import Spool

PATIENT_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
PATIENT_ROOT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
_MOST_CLASSES = 120


@dataclass(frozen=True, slots=True)
class Progress:
    """What a response to C-MOVE or C-GET says: its status, and the sub-operations so far."""

    status: int
    remaining: int = 0
    completed: int = 0
    failed: int = 0
    warning: int = 0

    @property
    def done(self) -> float:
        """How much of it is done, 0 to 1."""
        ended = self.completed + self.failed + self.warning
        return ended / (ended + self.remaining) if ended else 0.0


def _progress(answer: Answer) -> Progress:
    def number(keyword: str) -> int:
        value = answer.command.get(keyword, 0)
        return value if isinstance(value, int) else 0

    return Progress(
        answer.status,
        number("NumberOfRemainingSuboperations"),
        number("NumberOfCompletedSuboperations"),
        number("NumberOfFailedSuboperations"),
        number("NumberOfWarningSuboperations"),
    )


@dataclass(frozen=True, slots=True)
class Caller:
    """As whom, and with how much patience, a modality is asked."""

    ae_title: str | None = None
    timeout_seconds: float | None = None


def move(
    modality: Modality,
    options: ScuOptions,
    level: Level,
    keys: Keys,
    target_ae_title: str,
    caller: Caller,
    message_id: int = 1,
) -> Iterator[Progress]:
    """C-MOVE: what the modality says of it, the last status being the final one.

    What comes in for it names `message_id`. Closing the iterator ends the association, and so the operation.

    Raises
    ------
    NoPresentationContext, PeerFailure
        If the modality does not move, or cannot be reached.
    """
    proposal = Proposal(
        local_ae_title(modality, options, caller.ae_title),
        [(STUDY_ROOT_MOVE, TRANSFER_SYNTAXES), (PATIENT_ROOT_MOVE, TRANSFER_SYNTAXES)],
    )
    with associated(modality, options, proposal, timeout_seconds=caller.timeout_seconds) as requester:
        roots = (STUDY_ROOT_MOVE, PATIENT_ROOT_MOVE)
        context = context_of(requester, *(reversed(roots) if level == Level.PATIENT else roots))
        command: dict[str, CommandValue] = {
            "CommandField": CommandField.C_MOVE_RQ,
            "AffectedSOPClassUID": context.abstract_syntax,
            "Priority": 0,
            "MoveDestination": target_ae_title,
        }
        requester.number_from(message_id)
        payload = write_keys({**keys, QUERY_RETRIEVE_LEVEL: LEVEL_NAMES[level]}, context.transfer_syntax)
        for answer in requester.request(context.id, command, payload):
            yield _progress(answer)


def get(
    modality: Modality,
    options: ScuOptions,
    level: Level,
    keys: Keys,
    store: Perform,
    caller: Caller,
    classes: Sequence[str],
    spool: Spool | None = None,
) -> Iterator[Progress]:
    """C-GET: as `move`, but the instances, of these SOP classes, come in on the same association for `store`."""
    is_both = modality.manufacturer == "SiemensSyngoCT"
    proposal = Proposal(
        local_ae_title(modality, options, caller.ae_title),
        [
            (STUDY_ROOT_GET, TRANSFER_SYNTAXES),
            (PATIENT_ROOT_GET, TRANSFER_SYNTAXES),
            *((uid, TRANSFER_SYNTAXES) for uid in classes),
        ],
        roles=tuple(RoleSelection(uid, is_both, True) for uid in classes),
        window=AsynchronousWindow(1, options.window) if options.window > 1 else None,
    )
    with associated(
        modality, options, proposal, timeout_seconds=caller.timeout_seconds, spool=spool
    ) as requester:
        roots = (STUDY_ROOT_GET, PATIENT_ROOT_GET)
        context = context_of(requester, *(reversed(roots) if level == Level.PATIENT else roots))
        command: dict[str, CommandValue] = {
            "CommandField": CommandField.C_GET_RQ,
            "AffectedSOPClassUID": context.abstract_syntax,
            "Priority": 0,
        }
        payload = write_keys({**keys, QUERY_RETRIEVE_LEVEL: LEVEL_NAMES[level]}, context.transfer_syntax)
        for answer in requester.request(context.id, command, payload, store):
            yield _progress(answer)


def storage_classes(told: str) -> list[str]:
    """Which storage classes to offer: those that a query told of, else the common ones."""
    known = [uid.strip(" \0") for uid in told.split("\\") if uid.strip(" \0")]
    return list(dict.fromkeys(known or _common()))[:_MOST_CLASSES]


def _common() -> Iterable[str]:
    """Storage classes of the standard, the oldest and commonest first."""
    return sorted(
        (uid for uid in STORAGE_SOP_CLASSES if uid.startswith("1.2.840.10008.")),
        key=lambda uid: (len(uid), uid),
    )
