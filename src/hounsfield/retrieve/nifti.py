"""Series and instances as NIfTI files."""

import zlib
from collections.abc import Iterator, Sequence

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.levels import Level
from hounsfield.imaging.geometry import decimals
from hounsfield.imaging.nifti import nifti_pieces
from hounsfield.imaging.stacks import Stack
from hounsfield.imaging.volume import VolumePlan
from hounsfield.retrieve.volume_cache import Gone, VolumeCache

_REPETITION_TIME = 0x00180080
_PHASE_ENCODING = 0x00181312
_ECHO_TIME = 0x00180081
_ACQUISITION_TIME = 0x00080032
_SAME_MM = 0.01
_FASTEST = 1
_GZIP = zlib.MAX_WBITS | 16


def write_nifti(
    cache: VolumeCache,
    public_id: str,
    stack: int | None = None,
    *,
    is_compressed: bool,
    is_gone: Gone = lambda: False,
    level: Level = Level.SERIES,
) -> Iterator[bytes]:
    """The NIfTI file of a series or an instance, in pieces.

    Without `stack` it is the largest one, and others of the same shape at the same place are its fourth dimension, in
    their order. With `is_compressed` it is `.nii.gz`.

    Raises
    ------
    NotFound, BadRequest, Unsupported, Corrupt, Refused, Cancelled
        As of `VolumeCache.volume`. Problems with the first volume are raised at once, and not by the iterator.
    """
    plan = cache.plan(public_id, stack or 0, level)
    stacks = _alike(plan) if stack is None else [stack]
    volumes = (cache.volume(public_id, index, is_gone, level) for index in stacks)
    pieces = nifti_pieces(
        volumes,
        len(stacks),
        repetition_seconds=_repetition_seconds(plan),
        description=_description(plan),
        phase_encoding=(_first(plan).text(_PHASE_ENCODING) or "").strip(),
    )
    first = next(pieces)
    whole = _chained(first, pieces)
    return _compressed(whole) if is_compressed else whole


def _alike(plan: VolumePlan) -> Sequence[int]:
    """The stacks that lie where the first one does."""
    stacks = plan.series.stacks
    return [index for index, each in enumerate(stacks) if _is_alike(stacks[0], each)]


def _is_alike(first: Stack, other: Stack) -> bool:
    a, b = first.affine, other.affine
    if a is None or b is None or len(first.frames) != len(other.frames):
        return False
    same_kind = first.frames[0].kind == other.frames[0].kind
    return same_kind and bool(abs(a - b).max() < _SAME_MM)


def _repetition_seconds(plan: VolumePlan) -> float:
    found = decimals(_first(plan), _REPETITION_TIME, 1)
    return found[0] / 1000 if found and found[0] > 0 else 1.0


def _description(plan: VolumePlan) -> str:
    """Echo and acquisition time, as dcm2niix writes them; nothing about the patient."""
    parts = []
    echo, time = decimals(_first(plan), _ECHO_TIME, 1), decimals(_first(plan), _ACQUISITION_TIME, 1)
    if echo:
        parts.append(f"TE={echo[0]:.2g}")
    if time:
        parts.append(f"Time={time[0]:.3f}")
    return ";".join(parts)


def _first(plan: VolumePlan) -> Dataset:
    return plan.series.members[plan.stack.frames[0].member].head.dataset


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _compressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    engine = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
    for piece in pieces:
        yield engine.compress(piece)
    yield engine.flush()
