"""Makes an index of ten million instances out of one of a million: `python benchmarks/index_multiply.py FROM TO`.

FROM and TO are folders of `index_rows.py`, on SQLite. Every patient, study, series and instance is repeated with other
identifiers, by SQL alone. The copies keep names, dates and headers of their originals; their public ids are random.
"""

import argparse
import shutil
import sqlite3
import time
from pathlib import Path

from index_rows import ROOT

_UUID = (
    "lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-' || lower(hex(randomblob(2))) || '-'"
    " || lower(hex(randomblob(2))) || '-' || lower(hex(randomblob(6)))"
)


def _renamed(column: str, study: str, more: str) -> str:
    """A text with UIDs below a study, as one below the study that is `more` further."""
    return f"replace({column}, '{ROOT}.' || ({study}), '{ROOT}.' || ({study} + {more}))"


def _patient(column: str, number: str, more: str) -> str:
    return f"replace({column}, printf('PID%07d', {number}), printf('PID%07d', {number} + {more}))"


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _copy(connection: sqlite3.Connection, table: str, source: str, changed: dict[str, str]) -> None:
    """Add to a table its rows as `source` gives them under the name `t`, but for what is changed."""
    columns = _columns(connection, table)
    values = ", ".join(changed.get(column, f"t.{column}") for column in columns)
    connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {source}")


def add_copy(connection: sqlite3.Connection, counts: dict[str, int], number: int) -> None:
    """Add the copy of a number to all tables."""
    _copy_parents(connection, counts, number)
    _copy_instances(connection, counts, number)
    for level, (table, kind) in enumerate((("patients", 3), ("studies", 5), ("series", 4), ("instances", 2))):
        connection.execute(
            "INSERT INTO changes (seq, type, level, resource, public_id, date)"
            f" SELECT (SELECT MAX(seq) FROM changes) + row_number() OVER (), {kind}, {level}, id, public_id,"
            f" '20260101T000000' FROM {table} WHERE id > {counts[table] * number}"
        )


def _copy_parents(connection: sqlite3.Connection, counts: dict[str, int], number: int) -> None:
    patients, studies, series = (str(counts[table] * number) for table in ("patients", "studies", "series"))
    first = {table: f"t.id <= {count}" for table, count in counts.items()}
    study = "t.id - 1"
    _copy(
        connection,
        "patients",
        f"patients t WHERE {first['patients']}",
        {
            "id": f"t.id + {patients}",
            "public_id": "randomblob(20)",
            "main_tags": _patient("t.main_tags", "t.id - 1", patients),
            "patient_id_key": _patient("t.patient_id_key", "t.id - 1", patients),
        },
    )
    accession = f"printf('ACC%08d', {study}), printf('ACC%08d', {study} + {studies})"
    _copy(
        connection,
        "studies",
        f"studies t WHERE {first['studies']}",
        {
            "id": f"t.id + {studies}",
            "public_id": "randomblob(20)",
            "patient": f"t.patient + {patients}",
            "main_tags": f"replace({_renamed('t.main_tags', study, studies)}, {accession})",
            "patient_tags": _patient("t.patient_tags", "t.patient - 1", patients),
            "study_instance_uid": _renamed("t.study_instance_uid", study, studies),
            "patient_id_key": _patient("t.patient_id_key", "t.patient - 1", patients),
            "accession_number_key": f"replace(t.accession_number_key, {accession})",
        },
    )
    _copy(
        connection,
        "series",
        f"series t WHERE {first['series']}",
        {
            "id": f"t.id + {series}",
            "public_id": "randomblob(20)",
            "study": f"t.study + {studies}",
            "main_tags": _renamed("t.main_tags", "t.study - 1", studies),
            "series_instance_uid": _renamed("t.series_instance_uid", "t.study - 1", studies),
        },
    )


def _copy_instances(connection: sqlite3.Connection, counts: dict[str, int], number: int) -> None:
    studies, series, instances = (str(counts[table] * number) for table in ("studies", "series", "instances"))
    _copy(
        connection,
        "header_references",
        f"header_references t WHERE t.id <= {counts['series']}",
        {"id": f"t.id + {series}", "series": f"t.series + {series}"},
    )
    _copy(
        connection,
        "instances",
        f"instances t JOIN series s ON s.id = t.series WHERE t.id <= {counts['instances']}",
        {
            "id": f"t.id + {instances}",
            "public_id": "randomblob(20)",
            "series": f"t.series + {series}",
            "main_tags": _renamed("t.main_tags", "s.study - 1", studies),
            "sop_instance_uid": _renamed("t.sop_instance_uid", "s.study - 1", studies),
            "header_reference": f"t.header_reference + {series}",
        },
    )
    _copy(
        connection,
        "attachments",
        f"attachments t WHERE t.level = 3 AND t.resource <= {counts['instances']}",
        {"resource": f"t.resource + {instances}", "uuid": _UUID},
    )


def main() -> None:
    """Copy, and multiply."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--times", type=int, default=10)
    arguments = parser.parse_args()
    storage = arguments.target / "storage"
    storage.mkdir(parents=True)
    path = storage / "hounsfield.db"
    shutil.copy(arguments.source / "storage" / "hounsfield.db", path)
    began = time.perf_counter()
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -3000000", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    tables = ("patients", "studies", "series", "instances")
    (found,) = connection.execute(f"SELECT {', '.join(tables)} FROM totals").fetchall()
    counts = dict(zip(tables, found, strict=True))
    connection.execute("BEGIN")
    for number in range(1, arguments.times):
        add_copy(connection, counts, number)
        print(f"{number + 1} times after {time.perf_counter() - began:.0f} s", flush=True)
    total = ", ".join(
        f"{name} = {name} * {arguments.times}" for name in (*tables, "size", "stored_size", "last_change")
    )
    connection.execute(f"UPDATE totals SET {total}")
    connection.execute("COMMIT")
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    print(f"{counts['instances'] * arguments.times} instances after {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
