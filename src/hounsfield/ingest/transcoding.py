"""Instances put into one transfer syntax as they come in, before anything else is done with them.

What comes out of `receive` is as durable as what comes in untouched: transcoding happens before the file is written,
and a failure leaves the instance as it was sent.
"""

import logging
from dataclasses import dataclass, replace
from functools import partial

from hounsfield.dicom.part10 import Head
from hounsfield.dicom.uids import transfer_syntax
from hounsfield.errors import ArchiveError
from hounsfield.imaging.frames import has_frames
from hounsfield.imaging.transcode import transcode
from hounsfield.ingest.intake import Incoming, Transcode
from hounsfield.store.spool import SpoolFile

_log = logging.getLogger("hounsfield.generic")


@dataclass(frozen=True, slots=True)
class TranscodingOptions:
    """What to transcode to what."""

    transfer_syntax_uid: str
    of_uncompressed: bool = True
    of_compressed: bool = True
    lossy_quality: int = 90


def transcoder(options: TranscodingOptions) -> Transcode:
    """Make what `Intake.transcode` asks."""
    return partial(_transcoded, options)


def _transcoded(options: TranscodingOptions, incoming: Incoming, head: Head) -> Incoming | None:
    if incoming.is_transcoded or not _is_wanted(options, head):
        return None
    content = incoming.content
    data = content.view() if isinstance(content, SpoolFile) else content
    if incoming.prefix and not isinstance(content, SpoolFile):
        data = incoming.prefix + bytes(data)
    try:
        written = transcode(
            data,
            options.transfer_syntax_uid,
            lossy_quality=options.lossy_quality,
            is_uid_kept=incoming.is_uid_kept,
        )
    except ArchiveError as error:
        _log.warning(
            "Instance %s is stored as it came, in %s: %s",
            head.meta.sop_instance_uid,
            head.transfer_syntax_uid,
            error,
        )
        return None
    return replace(incoming, content=written, prefix=b"", transfer_syntax_uid=None)


def _is_wanted(options: TranscodingOptions, head: Head) -> bool:
    source, target = transfer_syntax(head.transfer_syntax_uid), transfer_syntax(options.transfer_syntax_uid)
    if source.uid == target.uid or source.is_video:
        return False
    if target.is_encapsulated and not has_frames(head):
        return False
    return options.of_compressed if source.is_encapsulated else options.of_uncompressed
