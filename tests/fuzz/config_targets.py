"""Whatever bytes a configuration is made of, reading gives a value or one of our errors."""

from collections.abc import Callable
from pathlib import Path

from hounsfield.config import documents
from hounsfield.config.checks import refusals
from hounsfield.config.lenient_json import decode, parse
from hounsfield.config.remarks import remarks
from hounsfield.config.substitution import substitute


def read_json(data: bytes) -> None:
    parse(decode(data)[0])


def read_configuration(data: bytes) -> None:
    value = parse(substitute(decode(data)[0], {"NAME": "value"})).value
    if isinstance(value, dict):
        nowhere = Path("/nonexistent")
        for refusal in refusals(value, nowhere):
            str(refusal)
        list(remarks(value))


_SEEDS = [
    b'{"Name": "a", "HttpPort": 8042, "b": [1.5e3, true, null,], } // end',
    b'{"DicomModalities": {"a": ["A", "h", 104, "GE"], "b": {"AET": "B", "Host": "h", "Port": "1"}}}',
    b'{"Dictionary": {"00e1,c2": ["UI", "A", 1, 1, "C"]}, "ExtraMainDicomTags": {"Study": ["PatientName"]}}',
    b'{"UserMetadata": {"a": 1024}, "UserContentType": {"b": [1025, "text/plain"]}, "Name": "${NAME:-"x}"}"}',
    b'{"RegisteredUsers": {"a": "b"}, "OrthancPeers": {"p": ["http://x/"]}, "Warnings": {}, "DicomAet": "\\u00e9"}',
    documents.sample().encode(),
]
TARGETS: dict[str, Callable[[bytes], None]] = {"json": read_json, "configuration": read_configuration}
SEEDS: dict[str, list[bytes]] = {"json": _SEEDS, "configuration": _SEEDS}
