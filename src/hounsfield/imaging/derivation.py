"""What an instance says of the loss its pixels suffered. PS3.3 C.7.6.1.1.5, C.7.6.1.1.3, C.12.4.1."""

from collections.abc import Mapping
from dataclasses import dataclass
from struct import pack

from hounsfield.dicom import tags
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.encode import Value, Values, encode, write
from hounsfield.dicom.scan import Encoding
from hounsfield.dicom.tags import ITEM, Tag

_IMAGE_TYPE = 0x00080008
_REFERENCED_SOP_CLASS_UID = 0x00081150
_REFERENCED_SOP_INSTANCE_UID = 0x00081155
_DERIVATION_DESCRIPTION = 0x00082111
_SOURCE_IMAGE_SEQUENCE = 0x00082112
_DERIVATION_CODE_SEQUENCE = 0x00089215
_PURPOSE_OF_REFERENCE_CODE_SEQUENCE = 0x0040A170
_LOSSY_IMAGE_COMPRESSION = 0x00282110
_LOSSY_IMAGE_COMPRESSION_RATIO = 0x00282112
_LOSSY_IMAGE_COMPRESSION_METHOD = 0x00282114
_CODE_VALUE, _CODING_SCHEME, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
_LONGEST_DESCRIPTION = 1024
# Only these always lose something; the others may have been used without loss.
_ALWAYS_LOSSY = dict.fromkeys((f"1.2.840.10008.1.2.4.{each}" for each in (50, 51, 53, 55)), "ISO_10918_1")


@dataclass(frozen=True, slots=True)
class Derivation:
    """What was done to the pixels."""

    name: str
    method: str
    """A Defined Term of Lossy Image Compression Method (0028,2114)."""

    quality: int
    ratio: float
    sop_instance_uid: str | None
    """Of the new instance; None if it keeps the old one."""


def lossy_changes(dataset: Dataset, derivation: Derivation, encoding: Encoding) -> dict[Tag, Value | None]:
    """The attributes of an instance that was compressed with loss."""
    ratio = f"{derivation.ratio:.4g}"
    text = (
        f"Lossy compression with {derivation.name}, quality {derivation.quality}, compression ratio {ratio}"
    )
    earlier = (dataset.text(_DERIVATION_DESCRIPTION) or "").strip()
    described = f"{earlier}; {text}" if earlier else text
    values = {
        _IMAGE_TYPE: "\\".join(["DERIVED", *(_values(dataset, _IMAGE_TYPE)[1:] or ["SECONDARY"])]),
        _DERIVATION_DESCRIPTION: described if len(described) <= _LONGEST_DESCRIPTION else text,
        _LOSSY_IMAGE_COMPRESSION: "01",
        _LOSSY_IMAGE_COMPRESSION_RATIO: "\\".join([*_values(dataset, _LOSSY_IMAGE_COMPRESSION_RATIO), ratio]),
        _LOSSY_IMAGE_COMPRESSION_METHOD: "\\".join(
            [*_values(dataset, _LOSSY_IMAGE_COMPRESSION_METHOD), derivation.method]
        ),
    }
    changes: dict[Tag, Value | None] = dict(values)
    changes[_DERIVATION_CODE_SEQUENCE] = _appended(
        dataset, _DERIVATION_CODE_SEQUENCE, _code("113040", "Lossy Compression"), encoding
    )
    if derivation.sop_instance_uid is not None:
        changes[tags.SOP_INSTANCE_UID] = derivation.sop_instance_uid
        source: Values = {
            _REFERENCED_SOP_CLASS_UID: dataset.text(tags.SOP_CLASS_UID) or "",
            _REFERENCED_SOP_INSTANCE_UID: dataset.text(tags.SOP_INSTANCE_UID) or "",
            _PURPOSE_OF_REFERENCE_CODE_SEQUENCE: [_code("121320", "Uncompressed predecessor")],
        }
        changes[_SOURCE_IMAGE_SEQUENCE] = _appended(dataset, _SOURCE_IMAGE_SEQUENCE, source, encoding)
    return changes


def inherited_loss(dataset: Dataset, transfer_syntax_uid: str) -> dict[Tag, Value | None]:
    """What an instance decoded from a lossy transfer syntax has to say, if it forgot to."""
    method = _ALWAYS_LOSSY.get(transfer_syntax_uid)
    if method is None or (dataset.text(_LOSSY_IMAGE_COMPRESSION) or "").strip():
        return {}
    return {_LOSSY_IMAGE_COMPRESSION: "01", _LOSSY_IMAGE_COMPRESSION_METHOD: method}


def _code(value: str, meaning: str) -> Mapping[Tag, Value]:
    return {_CODE_VALUE: value, _CODING_SCHEME: "DCM", _CODE_MEANING: meaning}


def _values(dataset: Dataset, tag: Tag) -> list[str]:
    text = (dataset.text(tag) or "").strip()
    return text.split("\\") if text else []


def _appended(dataset: Dataset, tag: Tag, values: Values, encoding: Encoding) -> bytes:
    """The items of a sequence and one more."""
    items = [write(item, encoding) for item in dataset.items(tag)]
    items.append(encode(values, encoding))
    order = ">" if encoding.is_big_endian else "<"
    return b"".join(pack(order + "HHI", ITEM >> 16, ITEM & 0xFFFF, len(each)) + each for each in items)
