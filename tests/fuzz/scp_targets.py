"""Any bytes for what the DICOM services read: the identifiers of queries and of retrievals."""

from collections.abc import Callable

from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.keys import Keys, full_names, read_keys, short_names, text_of, write_keys
from hounsfield.errors import ArchiveError
from hounsfield.index.answers import Answer
from hounsfield.scp.answers import AnswerWriter
from hounsfield.scp.query import QUERY_RETRIEVE_LEVEL, QueryOptions, parse_level, plan

_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


def read_query(data: bytes) -> None:
    """First byte: the transfer syntax. What can be read is planned as a query, and answered."""
    syntax = _SYNTAXES[data[0] % 3] if data else _SYNTAXES[0]
    keys = read_keys(data[1:], syntax)
    short_names(keys)
    full_names(keys)
    plan(keys, parse_level(text_of(keys, QUERY_RETRIEVE_LEVEL)), QueryOptions())
    writer = AnswerWriter(keys, syntax, CharacterSet.parse("ISO_IR 100"), {QUERY_RETRIEVE_LEVEL: "STUDY"})
    answer = Answer(PublicId(""), 1, {}, 1)
    read_keys(writer.write(keys, answer), syntax)


def write_again(data: bytes) -> None:
    """What was read can be written, unless a value does not fit, and read again."""
    keys = read_keys(data, _SYNTAXES[0])
    try:
        written = write_keys(keys, _SYNTAXES[1])
    except ArchiveError:
        return
    read_keys(written, _SYNTAXES[1])


_KEYS: Keys = {
    0x00080005: "ISO_IR 100",
    0x00080020: "20200101-20211231",
    0x00080052: "STUDY",
    0x00080060: "CT\\MR",
    0x00081140: [{0x00081155: "1.2.3", 0x00081140: [{0x00100010: "Müller^Zoé"}]}],
    0x00100010: "A*",
    0x00100020: "",
    0x00280010: "512",
    0x00091001: "x",
    0x00090010: "LUNIT",
}

TARGETS: dict[str, Callable[[bytes], None]] = {"query": read_query, "keys": write_again}
SEEDS: dict[str, list[bytes]] = {
    "query": [bytes([n]) + write_keys(_KEYS, syntax) for n, syntax in enumerate(_SYNTAXES)],
    "keys": [write_keys(_KEYS, _SYNTAXES[0])],
}
