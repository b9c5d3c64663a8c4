"""One frame of a file that is not on this machine, without fetching the rest of it."""

import mmap

from hounsfield.archive import Archive
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.scan import Buffer
from hounsfield.errors import Corrupt
from hounsfield.imaging.frame_ranges import frame_ranges
from hounsfield.index.attachments import Attachment, Compression
from hounsfield.store.area import FileKey

_FIRST_READ = 256 << 10
_LARGEST_HEAD = 16 << 20


def partial_file(archive: Archive, attachment: Attachment, number: int) -> Buffer | None:
    """A buffer of the file's size in which the head and what frame `number` needs are filled in.

    The rest is zero and takes no memory. None if the file is stored compressed, or all of it is needed.
    """
    if attachment.compression != Compression.NONE:
        return None

    def fetch(start: int, length: int) -> bytes:
        return archive.storage.read(FileKey(attachment.uuid), start, length)

    beginning = min(_FIRST_READ, attachment.size)
    while True:
        start = fetch(0, beginning)
        try:
            head = read_head(start)
        except Corrupt:
            head = None
        if head is not None and head.pixel_data_offset is not None and not head.is_truncated:
            break
        if beginning >= min(_LARGEST_HEAD, attachment.size):
            return None
        beginning = min(beginning * 8, attachment.size)
    ranges = frame_ranges(head, attachment.size, number, fetch)
    if ranges is None or sum(end - begin for begin, end in ranges) > attachment.size // 2:
        return None
    buffer = mmap.mmap(-1, attachment.size)
    buffer[: len(start)] = start
    for begin, end in ranges:
        if end > max(begin, len(start)):
            begin = max(begin, len(start))
            buffer[begin:end] = fetch(begin, end - begin)
    return buffer
