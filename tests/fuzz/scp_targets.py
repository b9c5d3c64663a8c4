"""Any bytes for what the DICOM services read: the identifiers of queries and of retrievals."""

from collections.abc import Callable

from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.keys import Keys, full_names, read_keys, short_names, text_of, write_keys
from hounsfield.errors import ArchiveError
from hounsfield.index.answers import Answer
from hounsfield.remote.commitment import read_references
from hounsfield.scp.answers import AnswerWriter
from hounsfield.scp.query import QUERY_RETRIEVE_LEVEL, QueryOptions, parse_level, plan
from hounsfield.worklist.entries import read_entry, write_entry
from hounsfield.worklist.matching import answer, check, matches, restrict_to_station

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


def read_commitment(data: bytes) -> None:
    """First byte: whether it is a report. What an N-ACTION or N-EVENT-REPORT holds."""
    keys = read_keys(data[1:], _SYNTAXES[1])
    read_references(keys, is_report=bool(data[0] & 1) if data else False)


def match_worklist(data: bytes) -> None:
    """A query before the first eight zeros, a worklist file after them."""
    query_bytes, _, file = data.partition(bytes(8))
    query, entry = read_keys(query_bytes, _SYNTAXES[1]), read_entry(file)
    check(query)
    station = restrict_to_station(query, "CT1")
    matches(entry, station, is_name_case_sensitive=False)
    write_entry(answer(entry, query, is_name_case_sensitive=True))


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

_REFERENCE: Keys = {0x00081150: "1.2.840.10008.5.1.4.1.1.2", 0x00081155: "1.2.3"}
_REPORT: Keys = {
    0x00081195: "2.25.1",
    0x00081198: [{**_REFERENCE, 0x00081197: "274"}],
    0x00081199: [_REFERENCE],
}
_STEP: Keys = {0x00080060: "CT", 0x00400001: "CT1", 0x00400002: "20261120"}
_QUERY: Keys = {0x00100010: "A*", 0x00400100: [{**_STEP, 0x00400002: "20261120-"}]}
_ENTRY: Keys = {0x00080005: "ISO_IR 192", 0x00100010: "Zoé", 0x00400100: [_STEP]}

TARGETS: dict[str, Callable[[bytes], None]] = {
    "query": read_query,
    "keys": write_again,
    "commitment": read_commitment,
    "worklist": match_worklist,
}
SEEDS: dict[str, list[bytes]] = {
    "query": [bytes([n]) + write_keys(_KEYS, syntax) for n, syntax in enumerate(_SYNTAXES)],
    "keys": [write_keys(_KEYS, _SYNTAXES[0])],
    "commitment": [bytes([n]) + write_keys(_REPORT, _SYNTAXES[1]) for n in range(2)],
    "worklist": [write_keys(_QUERY, _SYNTAXES[1]) + bytes(8) + write_entry(_ENTRY)],
}
