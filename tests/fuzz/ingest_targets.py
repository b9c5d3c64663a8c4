"""Functions that take any bytes and only return or raise an `ArchiveError`."""

import atexit
import gzip
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from tests.ingest.builders import DICOM, REST, Bench, make_file, make_image, open_bench

from hounsfield.errors import ArchiveError
from hounsfield.index.statistics import totals
from hounsfield.ingest.instance import Reception
from hounsfield.ingest.intake import IngestOptions, Overwrite, Receipt
from hounsfield.ingest.note import Note, read_note, write_note
from hounsfield.ingest.upload import UploadOptions, upload
from hounsfield.store import note as footers
from hounsfield.store.compression import compress, decompress
from hounsfield.store.memory import MemoryArea
from hounsfield.store.spool import FolderSpool


@lru_cache(maxsize=1)
def _bench() -> tuple[Bench, UploadOptions]:
    """One archive for all the inputs of a process; it overwrites, so that every input is indexed."""
    folder = Path(tempfile.mkdtemp(prefix="hounsfield-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "spool").mkdir()
    bench = open_bench(folder, IngestOptions(overwrite=Overwrite.ALWAYS), area=MemoryArea())
    return bench, UploadOptions(FolderSpool(folder / "spool"), maximum_entry_size=1 << 20)


def upload_body(data: bytes) -> None:
    """A body as it is, and said to be gzip; what is stored can be read again and the totals stay true."""
    bench, options = _bench()
    for is_gzip in (False, True):
        try:
            found = upload(bench.intake, options, REST, data, is_gzip=is_gzip)
        except ArchiveError:
            continue
        if isinstance(found, Receipt):
            with bench.database.read() as tx:
                assert totals(tx).instances >= 1
    bench.settle()


def indexed_file(data: bytes) -> None:
    """The values of a file whose identifiers are good: nothing in the others keeps it out of the index."""
    start = make_file(sop="9")
    upload_body(start + data)


def note(data: bytes) -> None:
    """The note of a file."""
    read_note(data)


def footer(data: bytes) -> None:
    """The end of a file."""
    for size in (len(data), 1 << 40):
        found = footers.parse_footer(data[-footers.FOOTER_SIZE :], size)
        if found is not None:
            length, note_length, _, seal = found
            assert length + note_length + footers.FOOTER_SIZE == size
            footers.is_sealed(data[:note_length], data[-footers.FOOTER_SIZE :], seal)


def compressed(data: bytes) -> None:
    """A compressed attachment."""
    decompress(data)


def _zip(method: int) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", method) as archive:
        archive.writestr("a/1.dcm", make_file(sop="1"))
        archive.writestr("b", b"text" * 20)
        archive.writestr("é", make_image(300, sop="2"))
    return output.getvalue()


_NOTE = write_note(Note(1, 1, False, Reception(DICOM, "20260101T000000", 5)))

TARGETS: dict[str, Callable[[bytes], None]] = {
    "upload": upload_body,
    "indexed_file": indexed_file,
    "note": note,
    "footer": footer,
    "compressed": compressed,
}
SEEDS: dict[str, list[bytes]] = {
    "upload": [
        make_file(),
        make_image(100),
        *(
            _zip(method)
            for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
        ),
        gzip.compress(make_file(), mtime=0),
    ],
    "indexed_file": [make_file(extra={0x00181090: "9", 0x00204000: "x", 0x00541330: 7})[-60:], b""],
    "note": [_NOTE],
    "footer": [footers.ending(_NOTE, 0, 0), footers.ending(b"", 0, 0)],
    "compressed": [b"".join(compress([b"a" * 100]))],
}
