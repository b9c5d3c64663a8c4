"""ZIP archives and gzip, good, odd, broken and hostile."""

import bz2
import gzip
import io
import lzma
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from tests.ingest.builders import REST, Bench, identifiers, make_file, make_image, open_bench

from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, BadRequest, Corrupt, StorageFull
from hounsfield.index.resources import list_ids
from hounsfield.index.statistics import totals
from hounsfield.ingest.intake import Incoming, IngestOptions, Outcome, Receipt
from hounsfield.ingest.receive import receive
from hounsfield.ingest.upload import UploadOptions, upload
from hounsfield.retrieve.files import find_dicom, read_attachment
from hounsfield.store.area import FileKey
from hounsfield.store.filesystem import FilesystemArea
from hounsfield.store.spool import FolderSpool, SpoolFile


@pytest.fixture
def options(tmp_path: Path) -> Iterator[UploadOptions]:
    folder = tmp_path / "spool"
    folder.mkdir()
    yield UploadOptions(FolderSpool(folder), maximum_entry_size=16 << 20)
    assert list(folder.iterdir()) == [], "spooled files are left"


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return output.getvalue()


def send(
    bench: Bench, options: UploadOptions, data: bytes | SpoolFile, *, is_gzip: bool = False
) -> list[Receipt]:
    found = upload(bench.intake, options, REST, data, is_gzip=is_gzip)
    assert isinstance(found, list)
    return found


def instances(bench: Bench) -> int:
    with bench.database.read() as tx:
        return totals(tx).instances


def test_a_file_gives_one_receipt(bench: Bench, options: UploadOptions) -> None:
    receipt = upload(bench.intake, options, REST, make_file())
    assert isinstance(receipt, Receipt)
    assert receipt.outcome is Outcome.SUCCESS


def test_an_empty_body_is_corrupt(bench: Bench, options: UploadOptions) -> None:
    with pytest.raises(Corrupt):
        upload(bench.intake, options, REST, b"")


def test_an_archive_gives_a_receipt_for_each_dicom_file_in_its_order(
    bench: Bench, options: UploadOptions
) -> None:
    data = zipped(
        ("readme.txt", b"hello"),
        ("a/b/c/", b""),
        ("a/b/c/2", make_file(sop="2")),
        ("empty", b""),
        ("1.dcm", make_file(sop="1")),
        ("deep/" * 50 + "2 again", make_file(sop="2")),
        ("image.png", b"\x89PNG\r\n\x1a\n" + bytes(500)),
        ("no uid", make_file(extra={0x0020000D: None})),
    )
    receipts = send(bench, options, data)
    assert [(receipt.outcome, receipt.identifiers) for receipt in receipts] == [
        (Outcome.SUCCESS, identifiers(sop="2")),
        (Outcome.SUCCESS, identifiers(sop="1")),
        (Outcome.ALREADY_STORED, identifiers(sop="2")),
    ]


def test_an_archive_without_dicom_gives_nothing(bench: Bench, options: UploadOptions) -> None:
    assert send(bench, options, zipped(("a.txt", b"x"))) == []
    assert send(bench, options, zipped()) == []


def test_a_medium_gives_its_images_and_not_its_directory(
    bench: Bench, options: UploadOptions, caplog: pytest.LogCaptureFixture
) -> None:
    path = get_testdata_file("DICOMDIR")
    assert isinstance(path, str)
    caplog.set_level("INFO")
    receipts = send(
        bench, options, zipped(("DICOMDIR", Path(path).read_bytes()), ("IMAGES/IM0", make_file()))
    )
    assert [receipt.identifiers for receipt in receipts] == [identifiers()]
    assert "not stored" not in caplog.text


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_every_usual_compression_is_read(bench: Bench, options: UploadOptions, method: int) -> None:
    assert len(send(bench, options, zipped(("1", make_image(5000)), method=method))) == 1


def test_names_that_are_not_ascii_are_read_and_never_logged(
    bench: Bench, options: UploadOptions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    data = zipped(
        ("Müller/é.dcm", make_file(sop="1")), ("山田^太郎", make_file(sop="2")), ("Müller.txt", b"x")
    )
    assert len(send(bench, options, data)) == 2
    assert "ller" not in caplog.text
    assert "山田" not in caplog.text


def test_an_entry_without_name_is_an_entry(bench: Bench, options: UploadOptions) -> None:
    # The reader cuts names at a NUL.
    files = zipped(("~", make_file(sop="1")), ("2", make_file(sop="2")), method=zipfile.ZIP_STORED)
    nameless = files.replace(b"~", b"\0")
    assert len(send(bench, options, nameless)) == 2


def test_a_name_in_an_unknown_encoding_does_no_harm(bench: Bench, options: UploadOptions) -> None:
    data = bytearray(zipped(("AAAA", make_file())))
    assert len(send(bench, options, bytes(data).replace(b"AAAA", b"\xff\xfe\x81\x00"))) <= 1


def test_entries_that_cannot_be_read_are_skipped(bench: Bench, options: UploadOptions) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        noise = random.Random(1).randbytes(20000)
        good, bad = make_file(sop="1"), make_file(sop="2", extra={0x7FE00010: noise})
        data = bytearray(zipped(("bad", bad), ("good", good), method=method))
        at = data.index(b"bad") + 200
        data[at : at + 8] = b"\xff" * 8
        assert [receipt.identifiers for receipt in send(bench, options, bytes(data))] == [
            identifiers(sop="1")
        ]


def test_an_encrypted_entry_is_skipped(bench: Bench, options: UploadOptions) -> None:
    data = bytearray(zipped(("secret", make_file(sop="1")), ("open", make_file(sop="2"))))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    assert [receipt.identifiers for receipt in send(bench, options, bytes(data))] == [identifiers(sop="2")]


def test_an_archive_that_is_cut_off_is_corrupt(bench: Bench, options: UploadOptions) -> None:
    data = zipped(("1", make_image(5000)), method=zipfile.ZIP_STORED)
    for length in (5, 30, 1000, len(data) - 60, len(data) - 10):
        with pytest.raises(Corrupt):
            upload(bench.intake, options, REST, data[:length])
    assert instances(bench) == 0


def test_an_entry_that_expands_to_too_much_is_skipped_and_leaves_no_spooled_file(
    bench: Bench, options: UploadOptions
) -> None:
    bomb = make_image(20 << 20)
    data = zipped(("bomb", bomb), ("good", make_file(sop="2")))
    assert len(data) < 1 << 20
    assert [receipt.identifiers for receipt in send(bench, options, data)] == [identifiers(sop="2")]


def test_the_size_that_an_entry_claims_is_not_believed(bench: Bench, options: UploadOptions) -> None:
    data = bytearray(zipped(("bomb", bytes(1 << 20)), ("good", make_file(sop="2"))))
    central = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, central + 24, 100)
    assert [receipt.identifiers for receipt in send(bench, options, bytes(data))] == [identifiers(sop="2")]


def test_a_zip64_archive_is_read(bench: Bench, options: UploadOptions) -> None:
    output = io.BytesIO()
    with (
        zipfile.ZipFile(output, "w") as archive,
        archive.open(zipfile.ZipInfo("one"), "w", force_zip64=True) as entry,
    ):
        entry.write(make_file())
    assert len(send(bench, options, output.getvalue())) == 1


def test_a_read_only_archive_says_so_of_a_zip_too(bench: Bench, options: UploadOptions) -> None:
    closed = bench.with_options(replace(bench.intake.options, is_read_only=True))
    with pytest.raises(BadRequest):
        upload(closed.intake, options, REST, zipped(("1", make_file())))


def test_a_full_archive_stops_and_what_came_before_is_stored(bench: Bench, options: UploadOptions) -> None:
    full = bench.with_options(replace(bench.intake.options, maximum_patients=1, is_recycling=False))
    with pytest.raises(StorageFull):
        upload(full.intake, options, REST, zipped(("1", make_file("A")), ("2", make_file("B"))))
    assert instances(bench) == 1


def test_gzip_is_expanded(bench: Bench, options: UploadOptions) -> None:
    data = make_image(6 << 20)
    receipt = upload(bench.intake, options, REST, gzip.compress(data), is_gzip=True)
    assert isinstance(receipt, Receipt)
    attachment = find_dicom(bench.archive, receipt.identifiers.public_id(Level.INSTANCE))
    assert read_attachment(bench.archive, attachment) == data


def test_a_zip_in_a_gzip_is_expanded(bench: Bench, options: UploadOptions) -> None:
    assert len(send(bench, options, gzip.compress(zipped(("1", make_file()))), is_gzip=True)) == 1


def test_bad_gzip_is_corrupt(bench: Bench, options: UploadOptions) -> None:
    good = gzip.compress(make_image(5000))
    for data in (
        b"",
        b"\x1f\x8b",
        make_file(),
        good[:-9],
        good[:50],
        good[:40] + b"\xff" * 20 + good[60:],
        good + b"x",
    ):
        with pytest.raises(Corrupt):
            upload(bench.intake, options, REST, data, is_gzip=True)
    assert instances(bench) == 0


def test_a_gzip_that_expands_to_too_much_is_refused(bench: Bench, options: UploadOptions) -> None:
    with pytest.raises(BadRequest):
        upload(bench.intake, options, REST, gzip.compress(bytes(17 << 20)), is_gzip=True)


def test_other_compressions_alone_are_not_dicom(bench: Bench, options: UploadOptions) -> None:
    for data in (bz2.compress(make_file()), lzma.compress(make_file()), gzip.compress(make_file())):
        with pytest.raises(ArchiveError):
            upload(bench.intake, options, REST, data)


def test_a_spooled_archive_is_read_from_the_spool(bench: Bench, options: UploadOptions) -> None:
    for is_gzip in (False, True):
        file = options.spool.create()
        data = zipped(("1", make_file(sop=str(is_gzip))))
        file.write(gzip.compress(data) if is_gzip else data)
        assert len(send(bench, options, file, is_gzip=is_gzip)) == 1
        file.close()


def test_a_large_spooled_file_is_stored_without_being_read_into_memory(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    area = bench.area
    assert isinstance(area, FilesystemArea)
    size = 64 << 20
    header = make_image(0)[:-8]
    tracemalloc.start()
    file = area.spool.create()
    file.write(header + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, size))
    block = bytes(range(256)) * 4096
    for _ in range(size // len(block)):
        file.write(block)
    inode = file.path.stat().st_ino
    receipt = receive(bench.intake, Incoming(REST, file))
    file.close()
    bench.settle()
    (_, peak) = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert receipt.outcome is Outcome.SUCCESS
    assert peak < 8 << 20
    attachment = find_dicom(bench.archive, receipt.identifiers.public_id(Level.INSTANCE))
    path = area.path(FileKey(attachment.uuid))
    assert (path.stat().st_ino, path.stat().st_size) == (inode, attachment.size)
    assert area.read(FileKey(attachment.uuid), attachment.size - len(block), len(block)) == block
    bench.close()


def test_a_spooled_duplicate_leaves_nothing(bench: Bench, options: UploadOptions) -> None:
    for expected in (Outcome.SUCCESS, Outcome.ALREADY_STORED):
        file = options.spool.create()
        file.write(make_file())
        assert receive(bench.intake, Incoming(REST, file)).outcome is expected
        file.close()
    bench.settle()
    assert len(list(bench.area.keys())) == 1


def test_hundreds_of_files_come_in_from_one_archive(tmp_path: Path, options: UploadOptions) -> None:
    bench = open_bench(tmp_path, IngestOptions(is_compressed=True))
    data = zipped(*((f"{number}", make_file(sop=str(number + 1))) for number in range(300)))
    assert len(send(bench, options, data)) == 300
    with bench.database.read() as tx:
        assert len(list_ids(tx, Level.INSTANCE)) == 300
    bench.close()
