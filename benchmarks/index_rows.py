"""Rows of a large index, without files: `python benchmarks/index_rows.py --studies 20000 --folder FOLDER`.

Two series a study, 25 instances a series, each with a header of 2 KB. The first instance of each series goes through
the server's own code into a small index of its own; its rows are then repeated with other UIDs and numbers, and loaded
as databases load fastest: by `executemany` without a journal into SQLite, by COPY into PostgreSQL. Indexes are made
afterwards. `--postgres '{"Host": "127.0.0.1", ...}'` gives the section PostgreSQL of the configuration.
"""

import argparse
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import pack
from typing import Any, Protocol

import orjson
import psycopg

from hounsfield.config.configuration import Configuration, load
from hounsfield.config.postgres import read_postgres
from hounsfield.config.sources import Origin as ConfigurationOrigin
from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.encode import encode
from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS
from hounsfield.dicom.packed_header import pack_header
from hounsfield.dicom.part10 import Head, read_head
from hounsfield.dicom.scan import EXPLICIT_LITTLE
from hounsfield.index.database import Row, Transaction
from hounsfield.index.header_packing import HeaderPacker
from hounsfield.index.headers import Reference, compress_header
from hounsfield.index.insertion import NewAttachment, NewInstance, add_instance, find_main_tags_version
from hounsfield.index.keys import to_key
from hounsfield.index.options import PostgresOptions
from hounsfield.index.sqlite import SqliteDatabase
from hounsfield.ingest.instance import Origin, OriginKind, Reception, describe
from hounsfield.opening import opened

ROOT = "1.2.826.0.1.3680043.10.1200.77"
FAMILIES = [
    start + end
    for start in ("MARTIN", "DUBOIS", "JANS", "PEETERS", "MÜLLER", "CLAES")
    for end in ("", "SEN", "ON", "IER", "S")
]
GIVEN = ["ANNE", "MARC", "SOPHIE", "LUC", "ELISE", "PAUL", "JULIE", "THOMAS", "NORA", "HUGO"]
MODALITIES = ["CT", "MR", "US", "CR", "PT"]
IN_A_SERIES, SERIES = 25, 2
FILE_SIZE = 530_000
_BATCH = 200  # Studies; even, as a patient has two.
_TABLES = ("patients", "studies", "series", "instances", "header_references", "attachments", "changes")
_NEW_INSTANCE = 2
_SYNTAX = "1.2.840.10008.1.2.1"
_COMMENT = "A comment that scanners fill with what they know. " * 25

Rows = dict[str, list[Row]]


def values(study: int, series: int, number: int) -> dict[int, str]:
    """The attributes of an instance; most are the same in a series."""
    source = random.Random(study)
    return {
        0x00080005: "ISO_IR 192",
        0x00080008: "ORIGINAL\\PRIMARY\\AXIAL",
        0x00080016: "1.2.840.10008.5.1.4.1.1.2",
        0x00080018: sop_instance_uid(study, series, number),
        0x00080020: f"{2005 + study % 20}{1 + study % 12:02d}{1 + study % 28:02d}",
        0x00080030: f"{study % 24:02d}1500",
        0x00080050: f"ACC{study:08d}",
        0x00080060: MODALITIES[(study + series) % 5],
        0x00080070: "Maker of scanners",
        0x00080080: "General Hospital",
        0x00080090: "REFERRING^DOCTOR",
        0x00081030: f"Examination of kind {study % 40}",
        0x0008103E: f"Series {series}",
        0x00100010: f"{source.choice(FAMILIES)}^{source.choice(GIVEN)}",
        0x00100020: f"PID{study // 2:07d}",
        0x00100030: f"{1930 + study % 80}0101",
        0x00100040: "MFO"[study % 3],
        0x00104000: _COMMENT,
        0x00180050: f"{1 + study % 7}.5",
        0x00180060: "120",
        0x00181030: "Protocol with a long name",
        0x0020000D: f"{ROOT}.{study}",
        0x0020000E: f"{ROOT}.{study}.{series}",
        0x00200011: str(series),
        0x00200013: f"{number:02d}",
        0x00200032: f"-190.5\\-180.25\\1{number:02d}.5",
        0x00200037: "1\\0\\0\\0\\1\\0",
        0x00280010: "512",
        0x00280011: "512",
        0x00280030: "0.75\\0.75",
        0x00281050: "40",
        0x00281051: "400",
    }


def sop_instance_uid(study: int, series: int, number: int) -> str:
    """Of the same length for all instances of a series."""
    return f"{ROOT}.{study}.{series}.1{number:02d}"


def received_at(study: int) -> str:
    """When a study came in: some hundred a day, in no order."""
    number = study * 7919 % 1_000_003
    return (
        f"{2015 + number % 10}{1 + number // 10 % 12:02d}{1 + number // 120 % 28:02d}T{number % 24:02d}0000"
    )


def data_set(content: dict[int, str]) -> bytes:
    """A header, of the size of a scanner's by a long comment."""
    return encode(content, EXPLICIT_LITTLE, CharacterSet.parse("ISO_IR 192"))


def renumbered(data: bytes, old: dict[int, str], new: dict[int, str]) -> bytes:
    """The header of an instance made that of another of its series."""
    for tag in (0x00080018, 0x00200013, 0x00200032):
        at = data.index(pack("<HH", tag >> 16, tag & 0xFFFF)) + 8
        data = data[:at] + new[tag].encode() + data[at + len(old[tag]) :]
    return data


def new_instance(head: Head, content: dict[int, str], version: int, packer: HeaderPacker) -> NewInstance:
    """What the index keeps of an instance, by the server's own code."""
    ids = Identifiers(content[0x00100020], content[0x0020000D], content[0x0020000E], content[0x00080018])
    public_ids = ids.public_ids()
    origin = Origin(OriginKind.DICOM_PROTOCOL, "SCANNER", "HOUNSFIELD", "127.0.0.1")
    return describe(
        head,
        ids,
        Reception(origin, received_at(int(content[0x0020000D].rpartition(".")[2])), 1),
        main_tags=DEFAULT_MAIN_TAGS,
        main_tags_version=version,
        offset=400,
        public_ids=public_ids,
        header=packer.pack(head, public_ids[Level.SERIES]),
    )


def file_of(new: NewInstance) -> NewAttachment:
    """A file that is not there."""
    return NewAttachment(1, _uuid(new.public_ids[Level.INSTANCE]), FILE_SIZE, FILE_SIZE)


def _uuid(public_id: str) -> str:
    return public_id[:36]


def signatures() -> tuple[str, str, str, str]:
    """Of the main DICOM tags of each level."""
    patient, study, series, instance = (DEFAULT_MAIN_TAGS.signature(level) for level in Level)
    return patient, study, series, instance


class Generator:
    """Makes rows in batches of studies, numbered from `first` rows on."""

    def __init__(self, scratch: SqliteDatabase, version: int) -> None:
        self._scratch, self._version = scratch, version
        self._bases = dict.fromkeys((*_TABLES, "instances"), 0)
        self.totals = dict.fromkeys(("patients", "studies", "series", "instances"), 0)

    def batches(self, studies: int) -> Iterator[Rows]:
        """The rows of studies 0 to `studies`, table by table."""
        for first in range(0, studies, _BATCH):
            yield self._batch(range(first, min(first + _BATCH, studies)))

    def _batch(self, studies: Sequence[int]) -> Rows:
        """Through the small index, which is empty before and after."""
        packer = HeaderPacker()
        firsts: list[tuple[dict[int, str], bytes, Reference]] = []

        def work(tx: Transaction) -> Rows:
            for study in studies:
                for series in range(1, SERIES + 1):
                    content = values(study, series, 1)
                    head = read_head(data_set(content), transfer_syntax_uid=_SYNTAX)
                    new = new_instance(head, content, self._version, packer)
                    add_instance(tx, new, file_of(new))
                    packed = pack_header(head)
                    if new.header is None or packed is None:
                        raise SystemExit("The header of an instance is too large")
                    firsts.append((content, packed, new.header.reference))
            rows = {table: tx.rows(f"SELECT * FROM {table}") for table in _TABLES}
            for table in reversed(_TABLES):
                tx.run(f"DELETE FROM {table}")
            return rows

        return self._moved(self._scratch.write(work, durable=False), firsts)

    def _moved(self, rows: Rows, firsts: Sequence[tuple[dict[int, str], bytes, Reference]]) -> Rows:
        """The rows with the numbers that they have in the large index, and those of all other instances."""
        patients, studies, series = (self._bases[table] for table in ("patients", "studies", "series"))
        found: Rows = {
            "patients": [_stable((row[0] + patients, *row[1:]), 10) for row in rows["patients"]],
            "studies": [
                _stable((row[0] + studies, row[1], row[2] + patients, *row[3:]), -1)
                for row in rows["studies"]
            ],
            "series": [
                _stable((row[0] + series, row[1], row[2] + studies, *row[3:]), -1) for row in rows["series"]
            ],
        }
        references = self._bases["header_references"]
        first_reference = min(row[0] for row in rows["header_references"])
        found["header_references"] = [
            (row[0] - first_reference + 1 + references, row[1] + series, *row[2:])
            for row in rows["header_references"]
        ]
        moved = [
            (*row[:2], row[2] + series, *row[3:-1], row[-1] - first_reference + 1 + references)
            for row in rows["instances"]
        ]
        self._add_instances(found, moved, rows["attachments"][0], firsts)
        self._add_changes(found)
        for table in _TABLES:
            self._bases[table] += len(found[table])
        for table in self.totals:
            self.totals[table] += len(found[table])
        return found

    def _add_instances(
        self,
        found: Rows,
        rows: Sequence[Row],
        attachment: Row,
        firsts: Sequence[tuple[dict[int, str], bytes, Reference]],
    ) -> None:
        """The first instance of each series as it is, and the others like it."""
        base = self._bases["instances"]
        instances, attachments = [], []
        for row, (content, packed, reference) in zip(rows, firsts, strict=True):
            tags = orjson.loads(row[3])
            study_uid, series_uid, pid = content[0x0020000D], content[0x0020000E], content[0x00100020]
            for number in range(1, IN_A_SERIES + 1):
                base += 1
                new = {
                    0x00080018: f"{series_uid}.1{number:02d}",
                    0x00200013: f"{number:02d}",
                    0x00200032: f"-190.5\\-180.25\\1{number:02d}.5",
                }
                public_id = Identifiers(pid, study_uid, series_uid, new[0x00080018]).public_id(Level.INSTANCE)
                tags |= {
                    "0008,0018": new[0x00080018],
                    "0020,0013": new[0x00200013],
                    "0020,0032": new[0x00200032],
                }
                header = compress_header(renumbered(packed, content, new), reference)
                instances.append(
                    (
                        *(base, to_key(public_id), row[2], orjson.dumps(tags).decode(), *row[4:6]),
                        *(new[0x00080018], *row[7:9], new[0x00200013], *row[10:-2], header, row[-1]),
                    )
                )
                attachments.append((3, base, 1, _uuid(public_id), *attachment[4:]))
        found["instances"], found["attachments"] = instances, attachments

    def _add_changes(self, found: Rows) -> None:
        seq = self._bases["changes"]
        changes: list[Row] = []
        for level, (table, kind) in enumerate(
            (("patients", 3), ("studies", 5), ("series", 4), ("instances", 2))
        ):
            for row in found[table]:
                seq += 1
                changes.append((seq, kind, level, row[0], row[1], "20260101T000000"))
        found["changes"] = changes


def _stable(row: Row, place: int) -> Row:
    """The row of a resource that will not receive anything for now."""
    place %= len(row)
    return (*row[:place], 1, *row[place + 1 :])


class Bulk(Protocol):
    """A database that is being filled."""

    def add(self, rows: Rows) -> None:
        """Add rows of all tables."""
        ...

    def finish(self, totals: dict[str, int]) -> None:
        """Make the indexes, and what the server counts."""
        ...


class SqliteBulk:
    """Fills a file that nobody else has open, and that is worth nothing if the power fails meanwhile."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("synchronous = OFF", "journal_mode = OFF", "cache_size = -2000000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._indexes = self._connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in self._indexes:
            self._connection.execute(f"DROP INDEX {name}")

    def add(self, rows: Rows) -> None:
        """See `Bulk.add`."""
        self._connection.execute("BEGIN")
        for table in _TABLES:
            if rows[table]:
                marks = ", ".join("?" * len(rows[table][0]))
                self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows[table])
        self._connection.execute("COMMIT")

    def finish(self, totals: dict[str, int]) -> None:
        """See `Bulk.finish`."""
        for _, sql in self._indexes:
            self._connection.execute(sql)
        self._connection.execute(*_totals(totals, "?"))
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.close()


class PostgresBulk:
    """Fills an index in PostgreSQL; the user must be a superuser, as no foreign key is checked meanwhile."""

    def __init__(self, options: PostgresOptions) -> None:
        self._connection = psycopg.connect(
            options.uri
            or f"host={options.host} port={options.port} dbname={options.database}"
            f" user={options.username} password={options.password or 'none'}"
            f" options='-c search_path={options.schema}'"
        )
        self._connection.execute("SET session_replication_role = replica")
        self._connection.execute("SET synchronous_commit = off")
        self._connection.execute("SET maintenance_work_mem = '1GB'")
        self._indexes = self._connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = ANY(%s)"
            " AND indexdef NOT LIKE 'CREATE UNIQUE%%'",
            (list(_TABLES),),
        ).fetchall()
        for name, _ in self._indexes:
            self._connection.execute(f"DROP INDEX {name}")

    def add(self, rows: Rows) -> None:
        """See `Bulk.add`."""
        with self._connection.cursor() as cursor:
            for table in _TABLES:
                with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    for row in rows[table]:
                        copy.write_row(row)
        self._connection.commit()

    def finish(self, totals: dict[str, int]) -> None:
        """See `Bulk.finish`."""
        for _, definition in self._indexes:
            self._connection.execute(definition)
        for table in ("patients", "studies", "series", "instances", "header_references"):
            self._connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT MAX(id) FROM {table}))"
            )
        self._connection.execute(*_totals(totals, "%s"))
        self._connection.commit()
        self._connection.autocommit = True
        self._connection.execute("VACUUM ANALYZE")
        self._connection.close()


def _totals(totals: dict[str, int], mark: str) -> tuple[str, tuple[int, ...]]:
    size = totals["instances"] * FILE_SIZE
    columns = {**totals, "size": size, "stored_size": size, "last_change": sum(totals.values())}
    return (
        f"UPDATE totals SET {', '.join(f'{name} = {mark}' for name in columns)}",
        tuple(columns.values()),
    )


def configured(folder: Path, postgres: dict[str, Any] | None) -> tuple[Configuration, dict[str, Any]]:
    """The configuration of the large index, and its options for servers."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {} if postgres is None else {"PostgreSQL": {"EnableIndex": True, **postgres}}
    storage = str(folder / "storage")
    path = folder / "filling.json"
    path.write_text(json.dumps({**options, "StorageDirectory": storage, "IndexDirectory": storage}))
    return load(ConfigurationOrigin((path,), {}, folder, folder / "none")), options


def fill(folder: Path, studies: int, postgres: dict[str, Any] | None) -> None:
    """Fill the index of a configuration, which must be empty."""
    configuration, options = configured(folder, postgres)
    with opened(configuration) as archive:
        version = archive.archive.database.write(lambda tx: find_main_tags_version(tx, signatures()))
    bulk: Bulk
    if postgres is None:
        bulk = SqliteBulk(folder / "storage" / "hounsfield.db")
    else:
        bulk = PostgresBulk(read_postgres(options["PostgreSQL"], ""))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hounsfield-rows-") as scratch:
        database = SqliteDatabase(Path(scratch) / "scratch.db")
        generator = Generator(database, version)
        for rows in generator.batches(studies):
            bulk.add(rows)
        database.close()
    loaded = time.perf_counter() - began
    bulk.finish(generator.totals)
    count, seconds = generator.totals["instances"], time.perf_counter() - began
    print(f"{count} instances in {seconds:.0f} s, {loaded:.0f} of them for the rows", flush=True)


def main() -> None:
    """Fill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--postgres", type=json.loads, help="the section PostgreSQL, as JSON")
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    fill(arguments.folder, arguments.studies, arguments.postgres)


if __name__ == "__main__":
    main()
