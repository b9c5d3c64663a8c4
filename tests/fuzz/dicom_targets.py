"""What hostile bytes may reach in the room `dicom`: heads, whole files, JSON, character sets, tag spellings."""

import zlib
from collections.abc import Callable
from struct import pack
from xml.etree import ElementTree

from hounsfield.dicom import encode, json, main_tags, part10, scan, uids
from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.dicom_json import dicom_json
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.identifiers import identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.native_model import native_model

INFLATED = 1 << 20


def head(data: bytes) -> None:
    """A file of unknown origin, indexed."""
    _index(part10.read_head(data, maximum_inflated=INFLATED))


def bare_dataset(data: bytes) -> None:
    """A data set over the network; the first byte chooses the transfer syntax."""
    syntaxes = sorted(uids.TRANSFER_SYNTAXES)
    syntax = syntaxes[data[0] % len(syntaxes)] if data else uids.IMPLICIT_VR_LITTLE_ENDIAN
    _index(part10.read_head(memoryview(data)[1:], transfer_syntax_uid=syntax, maximum_inflated=INFLATED))


def whole(data: bytes) -> None:
    """All formats of all elements."""
    dataset = part10.read_whole(data, maximum_inflated=INFLATED).dataset
    everything = frozenset(dataset)
    json.full(dataset, ignore_length=everything)
    json.short(dataset)
    json.simplified(dataset)
    encode.write(dataset, scan.IMPLICIT_LITTLE)
    ElementTree.fromstring(native_model(dicom_json(dataset)))


def text(data: bytes) -> None:
    """Text in a character set; what comes before the first NUL is its name."""
    term, _, raw = data.partition(b"\0")
    character_set = CharacterSet.parse(term.decode("latin_1"))
    for vr in ("PN", "LO", "LT"):
        character_set.encode(character_set.decode(raw, vr), vr)


def tag(data: bytes) -> None:
    """A tag as somebody typed it."""
    lookup.parse_tag(data.decode("latin_1"))


def _index(found: part10.Head) -> None:
    identify(found.dataset).public_ids()
    for level in Level:
        main_tags.extract(found.dataset, level)
        main_tags.sequences(found.dataset, level)
    json.simplified(found.dataset)


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def _dataset() -> bytes:
    item = (
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + _element(0x00080100, b"SH", b"A") + b"\xfe\xff\x0d\xe0\0\0\0\0"
    )
    sequence = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + item * 2 + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return b"".join(
        (
            _element(0x00080005, b"CS", b"ISO 2022 IR 13\\ISO 2022 IR 87"),
            _element(0x00080018, b"UI", b"1.2.3"),
            sequence,
            _element(0x00091010, b"LO", b"ACME"),
            _element(0x00100010, b"PN", b"\xd4\xcf=\x1b$B;3ED\x1b(J"),
            _element(0x00100020, b"LO", b"ID"),
            _element(0x0020000D, b"UI", b"1.2"),
            _element(0x0020000E, b"UI", b"1.3"),
            _element(0x00280010, b"US", b"\2\0"),
            b"\xe0\x7f\x10\x00OW\0\0\x04\0\0\0abcd",
        )
    )


def _deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


def _file(dataset: bytes, syntax: str = uids.EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    return part10.wrap_header("1.2.840.10008.5.1.4.1.1.7", "1.2.3", syntax) + dataset


_FILES = [_file(_dataset()), _file(_deflate(_dataset()), uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN), _dataset()]

TARGETS: dict[str, Callable[[bytes], None]] = {
    "dicom.head": head,
    "dicom.bare_dataset": bare_dataset,
    "dicom.whole": whole,
    "dicom.text": text,
    "dicom.tag": tag,
}
SEEDS: dict[str, list[bytes]] = {
    "dicom.head": _FILES,
    "dicom.bare_dataset": [bytes((number,)) + _dataset() for number in range(8)],
    "dicom.whole": _FILES,
    "dicom.text": [
        b"\\ISO 2022 IR 87\0Yamada=\x1b$B;3ED\x1b(B",
        b"ISO_IR 192\0caf\xc3\xa9",
        b"\\ISO 2022 IR 149\0\x1b$)C\xfb\xf3^\xb1",
    ],
    "dicom.tag": [b"0010,0020", b"PatientName"],
}
