"""Headers in the index: one reference a kind of image in a series, and each header as it came in."""

from pathlib import Path

from tests.ingest.builders import Bench, identifiers, make_file, open_bench

from hounsfield.dicom.levels import Level
from hounsfield.dicom.packed_header import unpack_header
from hounsfield.index.deletion import delete
from hounsfield.index.headers import read_packed_headers

COMMENTS = 0x00204000


def texts(bench: Bench, level: Level, tag: int) -> dict[str, str | None]:
    with bench.database.read() as tx:
        ids = [
            row[0].hex()
            for row in tx.rows(
                f"SELECT public_id FROM {('patients', 'studies', 'series', 'instances')[level]}"
            )
        ]
        ids = ["-".join(found[at : at + 8] for at in range(0, 40, 8)) for found in ids]
        return {
            resource: unpack_header(packed).dataset.text(tag)
            for resource, _, packed in read_packed_headers(tx, level, ids)
            if packed is not None
        }


def references(bench: Bench) -> int:
    with bench.database.read() as tx:
        (count,) = tx.row("SELECT COUNT(*) FROM header_references") or (0,)
    return int(count)


def test_each_header_is_read_as_it_came_in(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    for number in range(20):
        bench.receive(make_file(extra={COMMENTS: f"comment {number}"}, sop=str(number)))
    expected = {
        identifiers(sop=str(number)).public_id(Level.INSTANCE): f"comment {number}" for number in range(20)
    }
    assert texts(bench, Level.INSTANCE, COMMENTS) == expected
    assert set(texts(bench, Level.STUDY, COMMENTS).values()) == {"comment 0"}
    assert references(bench) == 1
    with bench.database.read() as tx:
        (largest,) = tx.row("SELECT MAX(LENGTH(header)) FROM instances") or (0,)
    assert largest < 100
    bench.close()


def test_references_go_with_their_series(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    for series in "12":
        bench.receive(make_file(series=series))
    assert references(bench) == 2
    public_id = identifiers(series="1").public_id(Level.SERIES)
    bench.database.write(lambda tx: delete(tx, Level.SERIES, public_id, "20260101T000000"))
    assert references(bench) == 1
    bench.receive(make_file(series="1"))
    assert references(bench) == 2
    assert len(texts(bench, Level.INSTANCE, COMMENTS)) == 2
    bench.close()
