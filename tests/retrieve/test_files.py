"""Files and attachments, as they came in."""

import hashlib
from dataclasses import replace

import pytest
from tests.ingest.builders import Bench, identifiers, make_image

from hounsfield.dicom.levels import Level
from hounsfield.errors import Corrupt, NotFound
from hounsfield.index.attachments import Attachment, Compression
from hounsfield.index.deletion import delete
from hounsfield.retrieve.files import (
    find_dicom,
    plain_file,
    read_attachment,
    read_file,
    read_start,
    with_md5,
)
from hounsfield.store.area import FileKey

INSTANCE = identifiers().public_id(Level.INSTANCE)
DATA = make_image(10_000)


def stored(bench: Bench, *, is_compressed: bool) -> Attachment:
    bench.with_options(replace(bench.intake.options, is_compressed=is_compressed)).receive(DATA)
    return find_dicom(bench.archive, INSTANCE)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_file_is_read_whole_and_from_its_start(bench: Bench, is_compressed: bool) -> None:
    attachment = stored(bench, is_compressed=is_compressed)
    for _ in range(2):
        assert read_file(bench.archive, INSTANCE) == read_attachment(bench.archive, attachment) == DATA
        for length in (0, 1, 1000, len(DATA), len(DATA) + 5):
            assert read_start(bench.archive, attachment, length) == DATA[:length]
        bench.settle()


@pytest.mark.parametrize("public_id", ["", "x", identifiers(sop="9").public_id(Level.INSTANCE), "0" * 44])
def test_an_unknown_instance_is_not_found(bench: Bench, public_id: str) -> None:
    stored(bench, is_compressed=False)
    with pytest.raises(NotFound):
        read_file(bench.archive, public_id)
    with pytest.raises(NotFound):
        read_file(bench.archive, identifiers().public_id(Level.STUDY))


def test_a_plain_file_is_as_long_as_its_content(bench: Bench) -> None:
    attachment = stored(bench, is_compressed=False)
    plain = plain_file(bench.archive, attachment)
    if plain is not None:
        assert plain.size == len(DATA)
        assert plain.path.read_bytes()[: plain.size] == DATA


def test_a_compressed_file_is_not_plain(bench: Bench) -> None:
    assert plain_file(bench.archive, stored(bench, is_compressed=True)) is None


@pytest.mark.parametrize("is_compressed", [False, True])
def test_the_md5_is_computed_once_and_kept(bench: Bench, is_compressed: bool) -> None:
    attachment = stored(bench, is_compressed=is_compressed)
    assert attachment.md5 is None
    known = with_md5(bench.archive, attachment)
    assert known.md5 == hashlib.md5(DATA).hexdigest()
    raw = bench.area.read(FileKey(attachment.uuid), 0, attachment.stored_size)
    assert known.stored_md5 == hashlib.md5(raw).hexdigest()
    assert find_dicom(bench.archive, INSTANCE) == known
    bench.area.remove([FileKey(attachment.uuid)])
    assert with_md5(bench.archive, known) is known


def test_a_missing_or_damaged_file_is_told(bench: Bench) -> None:
    attachment = stored(bench, is_compressed=True)
    bench.settle()
    for wrong in (
        replace(attachment, stored_size=attachment.stored_size + 1),
        replace(attachment, stored_size=attachment.stored_size - 1),
        replace(attachment, stored_size=3),
    ):
        with pytest.raises(Corrupt):
            read_attachment(bench.archive, wrong)
    bench.area.remove([FileKey(attachment.uuid)])
    for read in (lambda: read_file(bench.archive, INSTANCE), lambda: with_md5(bench.archive, attachment)):
        with pytest.raises(NotFound):
            read()


def test_a_file_can_be_read_until_its_deletion_is_settled(bench: Bench) -> None:
    attachment = stored(bench, is_compressed=False)
    assert attachment.compression == Compression.NONE
    bench.database.write(lambda tx: delete(tx, Level.INSTANCE, INSTANCE, "20260101T000000"))
    assert read_attachment(bench.archive, attachment) == DATA
    with pytest.raises(NotFound):
        read_file(bench.archive, INSTANCE)
