"""Taking instances in: what is stored, what is counted, what makes room."""

from dataclasses import replace

import pytest
from tests.ingest.builders import (
    CT_IMAGE,
    DICOM,
    REST,
    Bench,
    identifiers,
    instance_values,
    make_dataset,
    make_file,
    make_image,
)

from hounsfield.dicom.identifiers import identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import read_head
from hounsfield.errors import BadRequest, Corrupt, NotFound, StorageFull
from hounsfield.events import InstanceReceived, InstanceReceivedAgain, ResourceCreated, ResourceDeleted
from hounsfield.index.attachments import Compression
from hounsfield.index.changes import list_changes
from hounsfield.index.database import Transaction
from hounsfield.index.deletion import delete, list_deleted_files
from hounsfield.index.insertion import NewAttachment, NewInstance, add_instance
from hounsfield.index.labels import add_label
from hounsfield.index.metadata import MetadataType
from hounsfield.index.patients import is_protected, next_to_recycle, set_protected
from hounsfield.index.resources import Resource, get_row, list_ids, load
from hounsfield.index.stability import settle_stable
from hounsfield.index.statistics import Totals, totals
from hounsfield.ingest.instance import Reception, date_of, describe
from hounsfield.ingest.intake import Incoming, Outcome, Overwrite
from hounsfield.ingest.receive import receive
from hounsfield.retrieve.files import find_dicom, read_file
from hounsfield.store.area import FileKey


def counted(bench: Bench) -> Totals:
    with bench.database.read() as tx:
        return totals(tx)


def loaded(bench: Bench, level: Level, public_id: str) -> Resource:
    with bench.database.read() as tx:
        (resource,) = load(tx, level, [public_id])
    return resource


def stored_keys(bench: Bench) -> set[str]:
    return set(bench.area.keys())


def indexed_keys(bench: Bench) -> set[str]:
    with bench.database.read() as tx:
        return {row[0] for row in tx.rows("SELECT uuid FROM attachments")}


def with_(bench: Bench, **options: object) -> Bench:
    return bench.with_options(replace(bench.intake.options, **options))  # type: ignore[arg-type]


def test_the_first_instance_makes_a_resource_of_each_level(bench: Bench) -> None:
    data = make_file()
    receipt = bench.receive(data)
    assert receipt.outcome is Outcome.SUCCESS
    assert counted(bench) == Totals(1, 1, 1, 1, len(data), len(data))
    ids = receipt.identifiers.public_ids()
    with bench.database.read() as tx:
        assert [list_ids(tx, level) for level in Level] == [[public_id] for public_id in ids]
    assert bench.events == [
        *(ResourceCreated(level, ids[level]) for level in reversed(Level)),
        InstanceReceived(ids),
    ]
    assert read_file(bench.archive, ids[3]) == data


def test_siblings_share_their_parents(bench: Bench) -> None:
    size = 0
    for study, series, sop in (("1", "1", "1"), ("1", "1", "2"), ("1", "2", "3"), ("2", "3", "4")):
        data = make_file("P1", study, series, sop)
        size += len(data)
        bench.receive(data)
    bench.receive(make_file("P2", "9"))
    size += len(make_file("P2", "9"))
    assert counted(bench) == Totals(2, 3, 4, 5, size, size)
    found = loaded(bench, Level.STUDY, identifiers().public_id(Level.STUDY))
    assert found.children == sorted(identifiers(series=series).public_id(Level.SERIES) for series in "12")
    assert found.parent == identifiers().public_id(Level.PATIENT)


def test_a_study_uid_under_two_patients_is_two_studies(bench: Bench) -> None:
    bench.receive(make_file("A"))
    bench.receive(make_file("B"))
    found = counted(bench)
    assert (found.patients, found.studies, found.series, found.instances) == (2, 2, 2, 2)


def test_a_patient_keeps_the_tags_of_its_first_instance_and_a_study_its_own(bench: Bench) -> None:
    bench.receive(make_file("COMMON", "1", extra={0x00100010: "HELLO"}))
    bench.receive(make_file("COMMON", "2", extra={0x00100010: "WORLD"}))
    assert (
        loaded(bench, Level.PATIENT, identifiers("COMMON").public_id(Level.PATIENT)).main_tags["0010,0010"]
        == "HELLO"
    )
    second = loaded(bench, Level.STUDY, identifiers("COMMON", "2").public_id(Level.STUDY))
    assert second.patient_main_tags["0010,0010"] == "WORLD"


def test_an_instance_without_patient_id_is_stored_under_the_empty_one(bench: Bench) -> None:
    receipt = bench.receive(make_file(patient=None))
    assert receipt.identifiers.public_id(Level.PATIENT) == "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709"


@pytest.mark.parametrize("missing", [0x0020000D, 0x0020000E, 0x00080018])
def test_an_instance_without_uid_is_refused_and_leaves_nothing(bench: Bench, missing: int) -> None:
    with pytest.raises(NotFound):
        bench.receive(make_file(extra={missing: None}))
    assert counted(bench) == Totals(0, 0, 0, 0, 0, 0)
    assert not stored_keys(bench)


def test_bytes_that_are_not_dicom_are_corrupt(bench: Bench) -> None:
    for data in (b"", b"x", b"PK" * 200, bytes(range(256)) * 4):
        with pytest.raises(Corrupt):
            bench.receive(data)
    assert not stored_keys(bench)


def test_never_keeps_the_first(bench: Bench) -> None:
    first, second = make_file(extra={0x00100010: "ONE"}), make_file(extra={0x00100010: "OTHER"})
    bench.receive(first)
    bench.clock.advance(5)
    before = loaded(bench, Level.STUDY, identifiers().public_id(Level.STUDY))
    bench.events.clear()
    assert bench.receive(second).outcome is Outcome.ALREADY_STORED
    assert read_file(bench.archive, identifiers().public_id(Level.INSTANCE)) == first
    assert counted(bench) == Totals(1, 1, 1, 1, len(first), len(first))
    assert loaded(bench, Level.STUDY, identifiers().public_id(Level.STUDY)) == before
    assert [type(event) for event in bench.events] == [InstanceReceivedAgain]
    assert len(stored_keys(bench)) == 1


def test_always_replaces_file_tags_and_sizes(bench: Bench) -> None:
    first, second = make_file(extra={0x00100010: "ONE"}), make_file(extra={0x00100010: "ANOTHER"})
    bench.receive(first)
    always = with_(bench, overwrite=Overwrite.ALWAYS)
    assert always.receive(second).outcome is Outcome.SUCCESS
    assert read_file(bench.archive, identifiers().public_id(Level.INSTANCE)) == second
    assert counted(bench) == Totals(1, 1, 1, 1, len(second), len(second))
    assert (
        loaded(bench, Level.PATIENT, identifiers().public_id(Level.PATIENT)).main_tags["0010,0010"]
        == "ANOTHER"
    )
    bench.settle()
    assert stored_keys(bench) == indexed_keys(bench)


def test_always_replaces_equal_bytes_too_and_logs_it_anew(bench: Bench) -> None:
    always = with_(bench, overwrite=Overwrite.ALWAYS)
    always.receive(make_file())
    always.receive(make_file())
    with bench.database.read() as tx:
        page = list_changes(tx)
    assert [change.seq for change in page.changes] == [5, 6, 7, 8]


def test_overwriting_one_of_several_keeps_the_parents_and_their_labels(bench: Bench) -> None:
    always = with_(bench, overwrite=Overwrite.ALWAYS)
    always.receive(make_file(sop="1"))
    always.receive(make_file(sop="2"))
    study = identifiers().public_id(Level.STUDY)
    bench.database.write(lambda tx: add_label(tx, Level.STUDY, get_row(tx, Level.STUDY, study), "kept"))
    always.receive(make_file(sop="2", extra={0x00200013: "7"}))
    assert loaded(bench, Level.STUDY, study).labels == ["kept"]
    assert counted(bench).instances == 2


def test_if_changed_compares_the_bytes(bench: Bench) -> None:
    for is_compressed in (False, True):
        changed = with_(bench, overwrite=Overwrite.IF_CHANGED, is_compressed=is_compressed)
        sop = str(int(is_compressed) + 1)
        one, two = (
            make_file(sop=sop, extra={0x00100010: "AAAA"}),
            make_file(sop=sop, extra={0x00100010: "BBBB"}),
        )
        assert len(one) == len(two)
        assert changed.receive(one).outcome is Outcome.SUCCESS
        assert changed.receive(one).outcome is Outcome.ALREADY_STORED
        assert changed.receive(two).outcome is Outcome.SUCCESS
        assert read_file(bench.archive, identifiers(sop=sop).public_id(Level.INSTANCE)) == two


def test_if_changed_replaces_a_file_that_is_missing_or_damaged(bench: Bench) -> None:
    changed = with_(bench, overwrite=Overwrite.IF_CHANGED)
    changed.receive(make_file())
    public_id = identifiers().public_id(Level.INSTANCE)
    bench.area.remove([FileKey(find_dicom(bench.archive, public_id).uuid)])
    assert changed.receive(make_file()).outcome is Outcome.SUCCESS
    assert read_file(bench.archive, public_id) == make_file()


def test_compressed_files_come_out_as_they_came_in(bench: Bench) -> None:
    data = make_image(100_000)
    receipt = with_(bench, is_compressed=True).receive(data)
    public_id = receipt.identifiers.public_id(Level.INSTANCE)
    attachment = find_dicom(bench.archive, public_id)
    assert attachment.compression == Compression.ZLIB_WITH_SIZE
    assert (attachment.size, attachment.stored_size < 10_000) == (len(data), True)
    assert read_file(bench.archive, public_id) == data
    assert counted(bench).stored_size == attachment.stored_size
    raw = bench.area.read(FileKey(attachment.uuid), 0, attachment.stored_size)
    assert int.from_bytes(raw[:8], "little") == len(data)


def test_a_bare_data_set_becomes_a_file_with_its_header(bench: Bench) -> None:
    values = instance_values(extra={0x7FE00010: bytes(10)})
    whole = make_file(extra={0x7FE00010: bytes(10)})
    dataset = make_dataset(values)
    header = whole[: -len(dataset)]
    receipt = receive(bench.intake, Incoming(DICOM, dataset, header, "1.2.840.10008.1.2.1"))
    public_id = receipt.identifiers.public_id(Level.INSTANCE)
    assert read_file(bench.archive, public_id) == whole
    metadata = loaded(bench, Level.INSTANCE, public_id).metadata
    assert metadata[MetadataType.PIXEL_DATA_OFFSET] == str(whole.index(b"\xe0\x7f\x10\x00"))


def test_metadata_tell_where_an_instance_came_from(bench: Bench) -> None:
    bench.receive(make_file(sop="1", extra={0x00200013: "00031"}), DICOM)
    bench.receive(make_file(series="2", sop="2"), REST)
    by_dicom = loaded(bench, Level.INSTANCE, identifiers().public_id(Level.INSTANCE))
    assert by_dicom.metadata | {15: ""} == {
        1: "00031", 2: "20260101T000000", 3: "SCANNER", 8: "DicomProtocol", 9: "1.2.840.10008.1.2.1", 10: CT_IMAGE,
        11: "127.0.0.2", 12: "ARCHIVE", 15: "",
    }  # fmt: skip
    assert by_dicom.index_in_series == 31
    by_rest = loaded(
        bench, Level.INSTANCE, identifiers(series="2", sop="2").public_id(Level.INSTANCE)
    ).metadata
    assert (by_rest[3], by_rest[8], by_rest[13], 12 in by_rest) == ("", "RestApi", "alice", False)
    assert loaded(bench, Level.SERIES, identifiers().public_id(Level.SERIES)).metadata[3] == "SCANNER"


def test_a_filter_can_refuse_without_a_trace(bench: Bench) -> None:
    picky = Bench(replace(bench.intake, filters=(lambda incoming, head: False,)), bench.clock)
    receipt = picky.receive(make_file())
    assert receipt.outcome is Outcome.FILTERED_OUT
    assert receipt.identifiers == identifiers()
    assert not stored_keys(bench)


def test_a_read_only_archive_takes_nothing_in(bench: Bench) -> None:
    with pytest.raises(BadRequest):
        with_(bench, is_read_only=True).receive(make_file())


@pytest.mark.parametrize(
    "extra",
    [
        {0x00181090: "9" * 40},
        {0x00181090: "9" * 5000},
        {0x00181090: "²".encode("latin-1"), 0x00080005: "ISO_IR 100"},
        {0x00201002: "9" * 18, 0x00200105: "9" * 18},
        {0x00201002: "4", 0x00200105: "٣"},
        {0x00200013: "9" * 5000},
        {0x00200013: "²"},
        {0x00541330: b"\xff\xff\xff"},
        {0x00100010: b"\xff\xfe\xed\xa0\x80"},
        {0x00080005: "ISO_IR 13", 0x00100010: bytes(range(128, 256))},
        {0x00080005: b"\xff\\\0", 0x00100010: bytes(range(256))},
        {0x00100020: "a\0b\0"},
        {0x00200013: "-1"},
    ],
)
def test_hostile_values_are_stored_and_the_archive_can_be_indexed_again(
    bench: Bench, extra: dict[int, bytes]
) -> None:
    data = make_file(extra=dict(extra))
    receipt = bench.receive(data)
    ids = receipt.identifiers.public_ids()
    assert read_file(bench.archive, ids[3]) == data
    for level in Level:
        assert loaded(bench, level, ids[level]).public_id == ids[level]


# Deletion and the counts after it.


def test_deleting_removes_files_once_that_is_durable(bench: Bench) -> None:
    for sop in "123":
        bench.receive(make_file(sop=sop))
    deleted = bench.database.write(
        lambda tx: delete(tx, Level.INSTANCE, identifiers().public_id(Level.INSTANCE), "20260101T000001")
    )
    assert deleted.remaining_ancestor == (Level.SERIES, identifiers().public_id(Level.SERIES))
    assert len(stored_keys(bench)) == 3
    bench.intake.settling.files_were_deleted()
    bench.settle()
    assert stored_keys(bench) == indexed_keys(bench)
    assert len(stored_keys(bench)) == 2
    with bench.database.read() as tx:
        assert list_deleted_files(tx, 10) == []
    assert loaded(bench, Level.STUDY, identifiers().public_id(Level.STUDY)).last_update == "20260101T000001"


# Recycling.


def recycling(bench: Bench, **options: object) -> Bench:
    return with_(bench, is_recycling=True, **options)


def present(bench: Bench) -> set[str]:
    names = {identifiers(patient).public_id(Level.PATIENT): patient for patient in "ABCDEF"}
    with bench.database.read() as tx:
        return {names[public_id] for public_id in list_ids(tx, Level.PATIENT)}


def test_recycling_deletes_what_received_nothing_for_the_longest_time(bench: Bench) -> None:
    limited = recycling(bench, maximum_patients=3)
    for patient in "ABC":
        limited.receive(make_file(patient))
    limited.receive(make_file("A", sop="2"))
    bench.events.clear()
    limited.receive(make_file("D"))
    assert present(bench) == {"A", "C", "D"}
    gone = identifiers("B").public_ids()
    assert [event for event in bench.events if isinstance(event, ResourceDeleted)] == [
        ResourceDeleted(level, gone[level]) for level in Level
    ]
    bench.settle()
    assert stored_keys(bench) == indexed_keys(bench)
    assert len(stored_keys(bench)) == 4


def test_recycling_by_size_counts_the_stored_bytes(bench: Bench) -> None:
    sizes = {patient: len(make_file(patient)) for patient in "ABCD"}
    limited = recycling(bench, maximum_size=sizes["A"] * 3)
    for patient in "ABCD":
        limited.receive(make_file(patient))
    assert present(bench) == {"B", "C", "D"}
    assert counted(bench).stored_size <= sizes["A"] * 3


def test_a_protected_patient_is_not_recycled_and_becomes_the_newest_when_released(bench: Bench) -> None:
    limited = recycling(bench, maximum_patients=2)
    limited.receive(make_file("A"))
    first = identifiers("A").public_id(Level.PATIENT)
    bench.database.write(lambda tx: set_protected(tx, first, True, bench.clock()))
    limited.receive(make_file("B"))
    limited.receive(make_file("C"))
    assert present(bench) == {"A", "C"}
    bench.database.write(lambda tx: set_protected(tx, first, False, bench.clock()))
    limited.receive(make_file("D"))
    assert present(bench) == {"A", "D"}


def test_protecting_twice_changes_nothing(bench: Bench) -> None:
    bench.receive(make_file("A"))
    first = identifiers("A").public_id(Level.PATIENT)
    for _ in range(2):
        bench.database.write(lambda tx: set_protected(tx, first, True, 5))
    with bench.database.read() as tx:
        assert is_protected(tx, first)


def test_when_only_protected_patients_remain_the_archive_is_full(bench: Bench) -> None:
    limited = recycling(bench, maximum_patients=1)
    limited.receive(make_file("A"))
    bench.database.write(lambda tx: set_protected(tx, identifiers("A").public_id(Level.PATIENT), True, 0))
    with pytest.raises(StorageFull):
        limited.receive(make_file("B"))
    assert present(bench) == {"A"}
    assert stored_keys(bench) == indexed_keys(bench)


def test_an_instance_too_large_for_the_archive_recycles_nobody(bench: Bench) -> None:
    limited = recycling(bench, maximum_size=2000)
    limited.receive(make_file("A"))
    before = counted(bench)
    with pytest.raises(StorageFull):
        limited.receive(make_file("B", extra={0x7FE00010: bytes(3000)}))
    assert present(bench) == {"A"}
    assert counted(bench) == before
    assert stored_keys(bench) == indexed_keys(bench)


def test_the_patient_being_stored_is_never_recycled(bench: Bench) -> None:
    size = len(make_file("A"))
    limited = recycling(bench, maximum_size=size + 10)
    limited.receive(make_file("A", sop="1"))
    with pytest.raises(StorageFull):
        limited.receive(make_file("A", sop="2"))
    assert counted(bench).instances == 1


def test_without_recycling_what_does_not_fit_is_refused_and_leaves_no_file(bench: Bench) -> None:
    limited = with_(bench, is_recycling=False, maximum_patients=1)
    limited.receive(make_file("A", sop="1"))
    with pytest.raises(StorageFull):
        limited.receive(make_file("B"))
    assert limited.receive(make_file("A", sop="2")).outcome is Outcome.SUCCESS
    assert stored_keys(bench) == indexed_keys(bench)


def test_patients_of_one_transaction_that_just_received_are_not_recycled_first(bench: Bench) -> None:
    for patient in "ABC":
        bench.receive(make_file(patient))
    new = described(bench, "A", "2")
    spared = identifiers("D").public_id(Level.PATIENT)

    def work(tx: Transaction) -> str | None:
        add_instance(tx, new, NewAttachment(1, "k", 1, 1))
        return next_to_recycle(tx, spared)

    assert bench.database.write(work) == identifiers("B").public_id(Level.PATIENT)


def described(bench: Bench, patient: str, sop: str) -> NewInstance:
    now = bench.clock()
    head = read_head(make_file(patient, sop=sop))
    reception = Reception(REST, date_of(now), now)
    options = bench.intake.options
    return describe(head, identify(head.dataset), reception, main_tags=options.main_tags, main_tags_version=1)


def test_a_series_that_was_deleted_is_made_anew(bench: Bench) -> None:
    """What writers remember of it must not outlive it."""
    for sop in ("1", "2"):
        bench.receive(make_file(sop=sop))
    series = identifiers().public_id(Level.SERIES)
    bench.database.write(lambda tx: delete(tx, Level.SERIES, series, "20240101T000000"))
    # Another series may get the row of the one that is gone.
    bench.receive(make_file(patient="P2", study="2", series="2", sop="9"))
    bench.receive(make_file(sop="3"))
    with bench.database.read() as tx:
        (found,) = load(tx, Level.SERIES, [series])
        assert found.children == [identifiers(sop="3").public_id(Level.INSTANCE)]
        assert found.parent == identifiers().public_id(Level.STUDY)
        counted = totals(tx)
    assert (counted.patients, counted.studies, counted.series, counted.instances) == (2, 2, 2, 2)


def test_the_order_of_patients_is_exact_however_fast_they_come(bench: Bench) -> None:
    for number, patient in enumerate(("P1", "P2", "P1", "P1", "P3", "P1")):
        bench.receive(make_file(patient=patient, study=patient[1:], sop=str(number)))
    with bench.database.read() as tx:
        assert next_to_recycle(tx, "") == identifiers("P2").public_id(Level.PATIENT)


def test_what_stabilised_is_unstable_again_at_once(bench: Bench) -> None:
    bench.receive(make_file(sop="1"))
    bench.database.write(lambda tx: settle_stable(tx, bench.clock.now_ns, "20240101T000000"))
    bench.receive(make_file(sop="2"))
    with bench.database.read() as tx:
        (found,) = load(tx, Level.SERIES, [identifiers().public_id(Level.SERIES)])
    assert not found.is_stable
