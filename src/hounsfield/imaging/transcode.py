"""A whole file in another transfer syntax. PS3.5 8.2 and Annex A; PS3.3 C.7.6.1.1.5 (lossy image compression).

Frames are decoded and encoded again one by one, a few at the same time, so that a file of many frames never has all of
them in memory decoded. Between native transfer syntaxes nothing is decoded: bytes are put in the other order.
"""

import os
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from hounsfield import errors
from hounsfield.dicom import scan, tags, uids
from hounsfield.dicom.encode import Value, encode_element, write
from hounsfield.dicom.part10 import Head, inflate, read_whole, wrap_header
from hounsfield.dicom.scan import Buffer, Encoding
from hounsfield.dicom.tags import Tag
from hounsfield.imaging import codecs, description
from hounsfield.imaging.derivation import Derivation, inherited_loss, lossy_changes
from hounsfield.imaging.description import PixelDescription, describe
from hounsfield.imaging.elscint import private_tags
from hounsfield.imaging.encapsulation import encapsulated, encapsulated_icons
from hounsfield.imaging.encoders import ENCODERS, QUALITY_DEFAULT, Encoder
from hounsfield.imaging.frames import EncodedFrame, has_frames, read_frame
from hounsfield.imaging.limits import DEFAULT_LIMITS, Limits
from hounsfield.imaging.overlay_planes import find_planes, pack_bits, plane_changes
from hounsfield.imaging.recode import Form, Recoded, Work, recode_safely

_PIXELS = (tags.FLOAT_PIXEL_DATA, tags.DOUBLE_FLOAT_PIXEL_DATA, tags.PIXEL_DATA)
# Extended Offset Table and Lengths, and the total length of encapsulated pixel data.
_OF_THE_OLD_SYNTAX = (0x7FE00001, 0x7FE00002, 0x7FE00003)
_LONGEST_NATIVE = 0xFFFFFFFE
# Native transfer syntaxes that can be written.
_WRITTEN = frozenset(codecs.NATIVE - {codecs.PRIVATE_GE_BIG_ENDIAN_PIXELS})


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """A file to be transcoded; `data` is inflated already."""

    data: Buffer
    head: Head


def can_encode(transfer_syntax_uid: str) -> bool:
    """Whether there is a way to write this transfer syntax at all."""
    return transfer_syntax_uid in _WRITTEN or transfer_syntax_uid in ENCODERS


def is_lossy(transfer_syntax_uid: str) -> bool:
    """Whether transcoding to this transfer syntax changes pixels, and so makes another instance."""
    return transfer_syntax_uid in ENCODERS and ENCODERS[transfer_syntax_uid].is_lossy


def transcode(
    file: Buffer,
    transfer_syntax_uid: str,
    *,
    lossy_quality: int | None = None,
    is_uid_kept: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Write a file in another transfer syntax.

    A file that is in this transfer syntax already comes back unchanged. Lossless transcoding keeps SOP Instance UID
    (0008,0018); lossy transcoding makes another instance, which says what it was made of and how.

    Parameters
    ----------
    file
        A whole Part 10 file.
    transfer_syntax_uid
        The one wanted.
    lossy_quality
        1 small to 100 fine, 90 if not given; of no meaning to lossless transfer syntaxes.
    is_uid_kept
        Whether to keep SOP Instance UID even if pixels change.
    limits
        What one frame, or a deflated data set, may take in memory.

    Raises
    ------
    Unsupported
        If there is no encoder for the transfer syntax or no decoder for the source, or PS3.5 8.2 does not have such
        pixels in it: more bits than it can hold, signs, palettes in lossy ones.
    Corrupt
        If the file is damaged.
    """
    source = _open(file, limits)
    if source.head.transfer_syntax_uid == transfer_syntax_uid:
        return bytes(file)
    if uids.transfer_syntax(source.head.transfer_syntax_uid).is_video:
        raise errors.Unsupported("Video is not transcoded")
    if not can_encode(transfer_syntax_uid):
        raise errors.Unsupported(
            f"Cannot transcode to {uids.uid_name(transfer_syntax_uid) or transfer_syntax_uid}"
        )
    if not has_frames(source.head):
        return _without_pixels(source, transfer_syntax_uid)
    is_native = source.head.transfer_syntax_uid in codecs.NATIVE and source.head.pixel_data_tag is not None
    if is_native and transfer_syntax_uid in _WRITTEN:
        return _native_to_native(source, transfer_syntax_uid)
    quality = QUALITY_DEFAULT if lossy_quality is None else min(max(lossy_quality, 1), 100)
    return _frames(source, transfer_syntax_uid, quality, limits, is_uid_kept=is_uid_kept)


def _open(file: Buffer, limits: Limits) -> _Source:
    head = read_whole(file, maximum_inflated=limits.frame_bytes)
    syntax = uids.transfer_syntax(head.transfer_syntax_uid)
    if head.is_truncated:
        raise errors.Corrupt("The file is cut off")
    if syntax.is_deflated and head.pixel_data_offset is None:
        file = _inflated(file, head, limits)
        deflated, head = head, read_whole(file)
        head = replace(head, transfer_syntax_uid=deflated.transfer_syntax_uid)
    return _Source(file, head)


def _inflated(file: Buffer, head: Head, limits: Limits) -> bytes:
    """The same file, not deflated: frames can then be cut out of it."""
    body, _ = inflate(file, head.dataset_offset, limits.frame_bytes)
    meta = head.meta
    header = wrap_header(meta.sop_class_uid, meta.sop_instance_uid, uids.EXPLICIT_VR_LITTLE_ENDIAN)
    return header + body


def _without_pixels(source: _Source, transfer_syntax_uid: str) -> bytes:
    if transfer_syntax_uid not in _WRITTEN:
        raise errors.Unsupported("There is no pixel data to compress")
    return _written(source, transfer_syntax_uid, {}, [])


def _native_to_native(source: _Source, transfer_syntax_uid: str) -> bytes:
    """Bytes put in the other order, and nothing else. PS3.5 8.1 and Annex A.

    What else the image says of its pixels need not make sense for that.
    """
    head, pixel_tag = source.head, source.head.pixel_data_tag or tags.PIXEL_DATA
    bits = _allocated_bits(head)
    raw = head.dataset.raw(pixel_tag)
    was_big = head.transfer_syntax_uid in codecs.BIG_ENDIAN_PIXELS
    is_big = transfer_syntax_uid in codecs.BIG_ENDIAN_PIXELS
    # Small samples written as big-endian words lie the wrong way round; they are written as bytes.
    size = (2 if head.pixel_data_vr == "OW" and was_big else 1) if bits <= 8 else bits // 8
    if size > 1 and (was_big != is_big or bits <= 8):
        raw += b"\0" * (-len(raw) % size)
        raw = np.frombuffer(raw, f"<u{size}").byteswap().tobytes()
    encoding = _encoding(transfer_syntax_uid)
    vr = {tags.FLOAT_PIXEL_DATA: "OF", tags.DOUBLE_FLOAT_PIXEL_DATA: "OD"}.get(
        pixel_tag, "OB" if bits <= 8 else "OW"
    )
    return _written(source, transfer_syntax_uid, {}, _native_element(pixel_tag, vr, [raw], encoding))


def _allocated_bits(head: Head) -> int:
    """Bits of a sample: those that its VR has, or Bits Allocated if these are whole words, or else words of 16."""
    of_vr = {"OF": 32, "OD": 64}.get(head.pixel_data_vr or "OW")
    if of_vr is not None:
        return of_vr
    allocated = head.dataset.int(description.BITS_ALLOCATED)
    if allocated in (1, 8, 16, 32, 64):
        return allocated
    return 8 if head.pixel_data_vr == "OB" else 16


def _frames(
    source: _Source, transfer_syntax_uid: str, quality: int, limits: Limits, *, is_uid_kept: bool
) -> bytes:
    """Decode every frame and encode it again."""
    dataset, head = source.head.dataset, source.head
    pixels = describe(dataset, pixel_data_vr=head.pixel_data_vr or "OW")
    encoder = ENCODERS.get(transfer_syntax_uid)
    planes = find_planes(dataset, pixels)
    work = Work(transfer_syntax_uid, quality, tuple(plane.bit for plane in planes), limits)
    recoded = list(_recode_all(source, pixels, work))
    form = recoded[0].form
    if any(each.form != form for each in recoded):
        raise errors.Corrupt("The frames have different colour models or types")
    encoding = _encoding(transfer_syntax_uid)
    changes: dict[Tag, Value | None] = dict.fromkeys(_OF_THE_OLD_SYNTAX)
    changes |= dict.fromkeys(private_tags(dataset))
    changes |= _form_changes(pixels, encoder, form)
    changes |= plane_changes(planes, [each.overlays for each in recoded], encoding)
    data = [each.data for each in recoded]
    recoded.clear()
    if encoder is not None and encoder.is_lossy:
        made_of = Derivation(
            encoder.name,
            encoder.method,
            quality,
            ratio=pixels.number_of_frames * pixels.frame_bits / 8 / max(sum(map(len, data)), 1),
            sop_instance_uid=None if is_uid_kept else uids.new_uid(),
        )
        changes |= lossy_changes(dataset, made_of, encoding)
    else:
        changes |= inherited_loss(dataset, head.transfer_syntax_uid)
    return _written(
        source, transfer_syntax_uid, changes, _pixel_element(data, transfer_syntax_uid, pixels, form)
    )


def _recode_all(source: _Source, pixels: PixelDescription, work: Work) -> Iterator[Recoded]:
    """Every frame, in order; some at the same time, and never more than these in memory decoded."""

    def frame(number: int) -> EncodedFrame:
        return read_frame(source.data, source.head, number, description=pixels, limits=work.limits)

    numbers = iter(range(1, pixels.number_of_frames + 1))
    threads = os.cpu_count() or 1
    if pixels.number_of_frames == 1 or threads == 1:
        yield from (recode_safely(frame(number), work) for number in numbers)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque(
            pool.submit(recode_safely, frame(number), work) for number in islice(numbers, 2 * threads)
        )
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(recode_safely, frame(number), work) for number in islice(numbers, 1))


def _form_changes(pixels: PixelDescription, encoder: Encoder | None, form: Form) -> dict[Tag, Value | None]:
    """The attributes of the Image Pixel module that are not as before. PS3.3 C.7.6.3."""
    stored = pixels.bits_stored
    allocated = form.bits_allocated
    photometric = form.photometric
    if encoder is not None:
        photometric = encoder.becomes.get(photometric, photometric)
        stored = min((each for each in encoder.precisions if each >= stored), default=stored)
        if encoder.precisions:
            allocated = 8 if stored <= 8 else 16
    changes: dict[Tag, Value | None] = {}
    if photometric != pixels.photometric:
        changes[description.PHOTOMETRIC_INTERPRETATION] = photometric
    numbers = {
        description.BITS_ALLOCATED: (allocated, pixels.bits_allocated),
        description.BITS_STORED: (stored, pixels.bits_stored),
        description.HIGH_BIT: (stored - 1, pixels.high_bit),
        description.PIXEL_REPRESENTATION: (int(form.is_signed), int(pixels.is_signed)),
    }
    if not pixels.is_float:
        changes |= {tag: str(new) for tag, (new, old) in numbers.items() if new != old}
    if pixels.samples > 1:
        changes[description.PLANAR_CONFIGURATION] = "0"
    return changes


def _pixel_element(
    frames: list[bytes], transfer_syntax_uid: str, pixels: PixelDescription, form: Form
) -> list[bytes]:
    """The element of the pixels, in pieces."""
    if transfer_syntax_uid in ENCODERS:
        return encapsulated(frames)
    encoding = _encoding(transfer_syntax_uid)
    if form.bits_allocated == 1:
        return _native_element(tags.PIXEL_DATA, "OB", [pack_bits(frames)], encoding)
    if pixels.is_float:
        is_single = pixels.bits_allocated == 32
        tag = tags.FLOAT_PIXEL_DATA if is_single else tags.DOUBLE_FLOAT_PIXEL_DATA
        return _native_element(tag, "OF" if is_single else "OD", frames, encoding)
    vr = "OB" if form.bits_allocated <= 8 else "OW"
    return _native_element(tags.PIXEL_DATA, vr, frames, encoding)


def _native_element(tag: Tag, vr: str, values: list[bytes], encoding: Encoding) -> list[bytes]:
    size = sum(map(len, values))
    if size > _LONGEST_NATIVE:
        raise errors.Unsupported(f"{size} bytes of native pixel data are more than a length can tell")
    head = encode_element(tag, vr, b"", encoding)[: -encoding.long.size]
    return [head, encoding.long.pack(size + size % 2), *values, b"\0" * (size % 2)]


def _encoding(transfer_syntax_uid: str) -> Encoding:
    syntax = uids.transfer_syntax(transfer_syntax_uid)
    if not syntax.is_explicit:
        return scan.IMPLICIT_LITTLE
    return scan.EXPLICIT_BIG if syntax.is_big_endian else scan.EXPLICIT_LITTLE


def _written(
    source: _Source, transfer_syntax_uid: str, changes: dict[Tag, Value | None], pixels: list[bytes]
) -> bytes:
    """The file: header, data set with `changes`, and `pixels` where they belong; joined once, as it may be large."""
    dataset = source.head.dataset
    encoding = _encoding(transfer_syntax_uid)
    changes = changes | dict.fromkeys(encapsulated_icons(dataset)) | dict.fromkeys(_PIXELS)
    behind = [tag for tag in dataset if tag > tags.PIXEL_DATA]
    body = [write(dataset, encoding, changes | dict.fromkeys(behind)), *pixels]
    if behind:
        body.append(write(dataset, encoding, dict.fromkeys(tag for tag in dataset if tag not in behind)))
    if transfer_syntax_uid == codecs.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        body = _deflated(body)
    instance = changes.get(tags.SOP_INSTANCE_UID) or dataset.text(tags.SOP_INSTANCE_UID) or ""
    header = wrap_header(dataset.text(tags.SOP_CLASS_UID) or "", str(instance), transfer_syntax_uid)
    return b"".join([header, *body])


def _deflated(body: list[bytes]) -> list[bytes]:
    """PS3.5 A.5."""
    deflater = zlib.compressobj(6, wbits=-15)
    parts = [deflater.compress(part) for part in body] + [deflater.flush()]
    return [*parts, b"\0" * (sum(map(len, parts)) % 2)]
