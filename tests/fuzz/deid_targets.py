"""What hostile bytes may reach in the room `deid`: files that are changed, bodies of requests, paths."""

from collections.abc import Callable

import orjson
from tests.fuzz.dicom_targets import SEEDS as DICOM_SEEDS

from hounsfield.deid.apply import Plan, apply
from hounsfield.deid.paths import parse_path
from hounsfield.deid.request import read_anonymization, read_data_uri, read_modification
from hounsfield.deid.uid_map import UidMap
from hounsfield.dicom.identifiers import identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.rewriting import read_for_change, write_changed

_UIDS = UidMap(bytes(32))
_ANONYMIZATION = Plan(read_anonymization({"KeepPrivateTags": True}), _UIDS, "A", "B")
_MODIFICATION = Plan(
    read_modification(
        {
            "Replace": {"SpecificCharacterSet": "ISO_IR 192", "ReferencedImageSequence[*].PatientName": "é"},
            "Remove": ["ReferencedImageSequence[0].0008,0100"],
            "RemovePrivateTags": True,
        },
        Level.SERIES,
    ),
    _UIDS,
)


def anonymized(data: bytes) -> None:
    """A file of unknown origin, anonymized; what comes out is a file."""
    _change(data, _ANONYMIZATION)


def modified(data: bytes) -> None:
    """A file of unknown origin, modified; what comes out is a file."""
    _change(data, _MODIFICATION)


def _change(data: bytes, plan: Plan) -> None:
    head, dataset = read_for_change(data)
    own = identify(head.dataset)
    apply(plan, dataset, own)
    identify(read_head(write_changed(head, dataset).to_bytes()).dataset)


def body(data: bytes) -> None:
    """The body of a request."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    if isinstance(found, dict):
        read_modification(found, Level.STUDY)
        read_anonymization(found)


def path(data: bytes) -> None:
    """A path as somebody typed it."""
    parse_path(data.decode("latin_1"))


def data_uri(data: bytes) -> None:
    """A data URI."""
    read_data_uri(data.decode("latin_1"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "deid.anonymized": anonymized,
    "deid.modified": modified,
    "deid.body": body,
    "deid.path": path,
    "deid.data_uri": data_uri,
}
SEEDS: dict[str, list[bytes]] = {
    "deid.anonymized": DICOM_SEEDS["dicom.whole"],
    "deid.modified": DICOM_SEEDS["dicom.whole"],
    "deid.body": [
        b'{"Replace":{"PatientName":"A","ReferencedImageSequence":[{"0008,1155":"1.2"}]},"Remove":["Rows"],"Force":true}',
        b'{"Keep":["SOPInstanceUID","(0008,1140)[*].0008,1155"],"Force":true,"DicomVersion":"2008","Transcode":"1.2"}',
    ],
    "deid.path": [b"RequestAttributesSequence[*].(0040,0007)", b"0008-1140[12].00081155"],
    "deid.data_uri": [b"data:image/png;base64,QUJD", b"data:,a%20b"],
}
