"""Searches and tags give the same whether headers are in the index, were lost, or are too large for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ingest.builders import Bench, Values, identifiers, make_file, open_bench

from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import main_tags
from hounsfield.dicom.tags import Tag
from hounsfield.index.find import find
from hounsfield.index.query import Constraint, Match, Query
from hounsfield.ingest.intake import IngestOptions
from hounsfield.retrieve.headers import header_access, read_headers
from hounsfield.store.area import FileKey

ROWS, COMMENTS, CLASS = 0x00280010, 0x00204000, 0x00080016
CT = "1.2.840.10008.5.1.4.1.1.2"
QUERIES = [
    Query(Level.INSTANCE, (Constraint(ROWS, Match.EXACT, ("3",)),)),
    Query(Level.STUDY, (Constraint(ROWS, Match.LIST, ("0", "1", "2")),)),
    Query(Level.SERIES, (Constraint(CLASS, Match.EXACT, (CT,)),)),
    Query(Level.SERIES, (Constraint(CLASS, Match.EXACT, ("1.2.3",)),)),
    Query(Level.PATIENT, (Constraint(0x00080005, Match.WILDCARD, ("iso*",)),)),
    Query(Level.INSTANCE, (Constraint(ROWS, Match.PRESENT),), since=2, limit=3),
]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = open_bench(tmp_path)
    for number in range(12):
        extra: Values = {ROWS: number % 5, COMMENTS: "é" * 32_766 if number == 7 else f"comment {number}"}
        if number == 11:
            extra[ROWS] = None
        made.receive(make_file(f"P{number // 6}", str(number // 3), "1", str(number), extra))
    yield made
    made.close()


def answers(bench: Bench) -> list[list[str]]:
    access = header_access(bench.archive, "Latin1")
    with bench.database.read() as tx:
        return [list(find(tx, query, access=access)) for query in QUERIES]


def texts(bench: Bench, tag: Tag) -> dict[str, str | None]:
    with bench.database.read() as tx:
        ids = find(tx, Query(Level.INSTANCE))
        return {
            public_id: dataset.text(tag)
            for public_id, dataset in read_headers(
                bench.archive, tx, Level.INSTANCE, ids, frozenset((tag,)), default_encoding="Latin1"
            )
        }


def lose_headers(bench: Bench) -> None:
    """As rows from before the index had headers."""
    bench.database.write(lambda tx: tx.run("UPDATE instances SET header = NULL, header_reference = NULL"))


def count_headers(bench: Bench) -> int:
    with bench.database.read() as tx:
        (count,) = tx.row("SELECT COUNT(*) FROM instances WHERE header IS NOT NULL") or (0,)
    return int(count)


def test_searches_find_the_same_with_and_without_headers_in_the_index(bench: Bench) -> None:
    fast = answers(bench)
    assert [len(found) for found in fast] == [2, 2, 4, 0, 2, 3]
    lose_headers(bench)
    assert answers(bench) == fast
    assert count_headers(bench) == 12
    assert answers(bench) == fast


def test_tags_are_the_same_with_and_without_headers_in_the_index(bench: Bench) -> None:
    for tag in (ROWS, COMMENTS):
        lose_headers(bench)
        slow = texts(bench, tag)
        assert texts(bench, tag) == slow
        assert len(slow) == 12
    assert "é" * 32_766 in texts(bench, COMMENTS).values()


def test_a_file_that_is_gone_matches_nothing_and_stops_nothing(bench: Bench) -> None:
    lose_headers(bench)
    with bench.database.read() as tx:
        (uuid,) = tx.row("SELECT uuid FROM attachments LIMIT 1") or ("",)
    bench.area.remove([FileKey(uuid)])
    everything = Query(
        Level.INSTANCE, (Constraint(0x00080018, Match.EXACT, (identifiers(sop="0").sop_instance_uid,)),)
    )
    with bench.database.read() as tx:
        assert len(find(tx, everything)) <= 1
    assert len(texts(bench, ROWS)) == 11


def test_files_are_not_opened_for_what_the_index_has(bench: Bench) -> None:
    with bench.database.read() as tx:
        bench.area.remove(FileKey(row[0]) for row in tx.rows("SELECT uuid FROM attachments"))
    assert [len(found) for found in answers(bench)] == [2, 2, 4, 0, 2, 3]
    assert len(texts(bench, ROWS)) == 12


def test_a_tag_that_became_a_main_tag_later_is_found_in_older_rows_too(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    bench.receive(make_file(study="1", series="1", sop="1", extra={ROWS: 7}))
    bench.close()
    chosen = main_tags({Level.STUDY: [ROWS], Level.INSTANCE: [ROWS]})
    bench = open_bench(tmp_path, IngestOptions(main_tags=chosen))
    bench.receive(make_file(study="2", series="2", sop="2", extra={ROWS: 7}))
    access = header_access(bench.archive)
    with bench.database.read() as tx:
        for level in (Level.STUDY, Level.INSTANCE):
            query = Query(level, (Constraint(ROWS, Match.EXACT, ("7",)),))
            assert len(find(tx, query, chosen, access)) == 2
    bench.close()
