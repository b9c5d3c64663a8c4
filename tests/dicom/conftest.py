"""Data sets written byte by byte, so that tests can break any rule."""

from collections.abc import Callable
from struct import pack

import pytest

from hounsfield.dicom import uids
from hounsfield.dicom.part10 import wrap_header
from hounsfield.dicom.scan import LONG_VRS

Write = Callable[..., bytes]


def write_element(
    tag: int, vr: str, value: bytes, *, explicit: bool = True, big: bool = False, length: int | None = None
) -> bytes:
    """One element; `length` overrides the true one."""
    order = ">" if big else "<"
    size = len(value) if length is None else length
    group, element = tag >> 16, tag & 0xFFFF
    if not explicit:
        return pack(order + "HHI", group, element, size) + value
    if vr.encode() in LONG_VRS:
        return pack(order + "HH2sHI", group, element, vr.encode(), 0, size) + value
    return pack(order + "HH2sH", group, element, vr.encode(), size) + value


def write_dataset(
    extra: dict[int, tuple[str, bytes]] | None = None, *, explicit: bool = True, big: bool = False
) -> bytes:
    """A data set that can be identified, with `extra` elements added or replaced; in order of tag."""
    elements = {
        0x00080016: ("UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
        0x00080018: ("UI", b"1.2.3.4\0"),
        0x00100010: ("PN", b"DOE^JOHN"),
        0x00100020: ("LO", b"ID42"),
        0x0020000D: ("UI", b"1.2.3.1\0"),
        0x0020000E: ("UI", b"1.2.3.2\0"),
        **(extra or {}),
    }
    return b"".join(
        write_element(tag, vr, value, explicit=explicit, big=big)
        for tag, (vr, value) in sorted(elements.items())
    )


def write_file(dataset: bytes, transfer_syntax_uid: str = uids.EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """A data set with its header."""
    return wrap_header("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4", transfer_syntax_uid) + dataset


@pytest.fixture
def element() -> Write:
    return write_element


@pytest.fixture
def dataset() -> Write:
    return write_dataset


@pytest.fixture
def file() -> Write:
    return write_file
