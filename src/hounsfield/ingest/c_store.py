"""What a C-STORE brings, as the way in wants it: whether it came to us, or answers a C-GET of ours. PS3.4 Annex B."""

from functools import partial

from hounsfield.dicom.part10 import Head
from hounsfield.dicom.tags import SOP_CLASS_UID, SOP_INSTANCE_UID
from hounsfield.errors import Conflict, Corrupt
from hounsfield.ingest.instance import Origin
from hounsfield.ingest.intake import Incoming
from hounsfield.net.messages import Request, part10_header
from hounsfield.store.spool import SpoolFile


class DataSetMismatch(Conflict):
    """The data set of a C-STORE is not the instance that its command set says."""


def incoming(origin: Origin, request: Request) -> Incoming:
    """The instance of a C-STORE; nothing is copied.

    Raises
    ------
    Corrupt
        If there is no data set. When it is received, DataSetMismatch if it is another instance.
    """
    payload, check = request.payload, partial(check_uids, request.sop_class_uid, request.sop_instance_uid)
    if payload is None:
        raise Corrupt(f"C-STORE of {request.sop_instance_uid} without a data set")
    if isinstance(payload, SpoolFile):
        return Incoming(origin, payload, check=check)
    return Incoming(origin, payload, part10_header(request), request.context.transfer_syntax, check=check)


def check_uids(sop_class_uid: str, sop_instance_uid: str, head: Head) -> None:
    """Raise DataSetMismatch if command and data set name different instances.

    A data set without UIDs passes: what it lacks is for the way in to say.
    """
    for tag, announced in ((SOP_CLASS_UID, sop_class_uid), (SOP_INSTANCE_UID, sop_instance_uid)):
        found = head.dataset.text(tag)
        if found is not None and found.strip(" \0") != announced:
            raise DataSetMismatch(f"The data set of C-STORE of {announced} is {found[:64]!r}")
