"""The index against a simple model of it, through any sequence of operations."""

import copy
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.databases import BACKENDS

from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level
from hounsfield.index import changes, deletion, insertion, labels, metadata, resources, statistics
from hounsfield.index.changes import ChangeType
from hounsfield.index.database import Transaction
from hounsfield.index.find import count, find
from hounsfield.index.headers import (
    NewHeader,
    compress_header,
    make_reference,
    read_packed_headers,
)
from hounsfield.index.insertion import NewAttachment, NewInstance, NewParents
from hounsfield.index.patients import next_to_recycle, set_protected
from hounsfield.index.pending import TABLES
from hounsfield.index.query import Constraint, Match, Query

Id = tuple[Level, str]
NEW = (ChangeType.NEW_PATIENT, ChangeType.NEW_STUDY, ChangeType.NEW_SERIES, ChangeType.NEW_INSTANCE)
Operation = Callable[[Transaction], Any]


def identify(patient: str, study: str, series: str, sop: str) -> Identifiers:
    return Identifiers(patient, f"1.{study}", f"1.{study}.{series}", f"1.{study}.{series}.{sop}")


def packed_of(number: int) -> bytes:
    """A header; those of odd numbers have nothing in common with those of even ones."""
    return (b"odd" if number % 2 else b"even") * 2000 + str(number).encode()


def header_of(number: int) -> NewHeader | None:
    """A header compressed with a reference of its kind; none for every third."""
    if number % 3 == 0:
        return None
    reference = make_reference(packed_of(number % 2))
    return NewHeader(compress_header(packed_of(number), reference), reference)


def new_instance(ids: Identifiers, date: str, now_ns: int) -> NewInstance:
    return NewInstance(
        identifiers=ids,
        public_ids=ids.public_ids(),
        tags={},
        sequences={},
        parents=NewParents(({"0010,0020": ids.patient_id}, {}, {}), ({}, {}, {}), None),
        main_tags_version=1,
        sop_class_uid="1.2",
        transfer_syntax_uid="1.2",
        index_in_series=None,
        pixel_data_offset=None,
        pixel_data_vr=None,
        reception_date=date,
        received_ns=now_ns,
        origin="RestApi",
        remote_aet="",
        called_aet="",
        remote_ip="",
        http_username="",
        header=header_of(now_ns),
    )


@dataclass
class Model:
    """What the index should hold."""

    files: dict[str, tuple[tuple[str, ...], str, int]] = field(
        default_factory=dict
    )  # id: (parents, uuid, size)
    labels: set[tuple[Id, str]] = field(default_factory=set)
    metadata: dict[tuple[Id, int], tuple[str, int]] = field(default_factory=dict)
    changes: list[tuple[int, ChangeType, Id]] = field(default_factory=list)
    last_change: int = 0
    dates: dict[Id, str] = field(default_factory=dict)
    recycling: dict[str, int] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)
    deleted_files: set[str] = field(default_factory=set)
    headers: dict[str, int] = field(default_factory=dict)

    def ids(self, level: Level) -> set[str]:
        return {parents[level] for parents, _, _ in self.files.values()}

    def everything(self) -> set[Id]:
        return {(level, public_id) for level in Level for public_id in self.ids(level)}

    def log(self, kind: ChangeType, resource: Id) -> None:
        self.last_change += 1
        self.changes.append((self.last_change, kind, resource))

    def add(
        self, public_ids: tuple[str, ...], uuid: str, size: int, overwrite: bool, date: str, now_ns: int
    ) -> bool:
        instance = public_ids[3]
        if instance in self.files:
            if not overwrite:
                return False
            self.delete(Level.INSTANCE, instance, date)
        before = self.everything()
        self.files[instance] = (public_ids, uuid, size)
        self.headers[instance] = now_ns
        for level in reversed(Level):
            if (level, public_ids[level]) not in before:
                self.log(NEW[level], (level, public_ids[level]))
            if level < Level.INSTANCE:
                self.dates[level, public_ids[level]] = date
        self.recycling[public_ids[0]] = now_ns
        return True

    def delete(self, level: Level, public_id: str, date: str) -> tuple[set[Id], Id | None]:
        before = self.everything()
        doomed = [found for found, (parents, _, _) in self.files.items() if parents[level] == public_id]
        ancestors = self.files[doomed[0]][0][:level]
        for found in doomed:
            self.deleted_files.add(self.files.pop(found)[1])
        gone = before - self.everything()
        self.labels = {pair for pair in self.labels if pair[0] not in gone}
        self.metadata = {key: value for key, value in self.metadata.items() if key[0] not in gone}
        self.changes = [change for change in self.changes if change[2] not in gone]
        self.protected -= {found for upper, found in gone if upper is Level.PATIENT}
        remaining = None
        for upper in Level:
            if upper < level and (upper, ancestors[upper]) not in gone:
                remaining = upper, ancestors[upper]
                self.dates[remaining] = date
        return gone, remaining


names = st.tuples(st.sampled_from("AB"), st.sampled_from("12"), st.sampled_from("12"), st.sampled_from("123"))
adds = st.tuples(st.just("add"), names, st.booleans())
deletions = st.tuples(st.just("delete"), names, st.sampled_from(list(Level)))
marks = st.tuples(
    st.sampled_from(["label", "unlabel", "put", "unput", "protect"]), names, st.sampled_from(list(Level))
)
operations = st.one_of(adds, adds, deletions, marks)


class Failed(Exception):
    """Raised by a work that is to be undone."""


class IndexAndModel(RuleBasedStateMachine):
    """Runs the same operations on both."""

    backend = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="hounsfield-model-"))
        self.open = BACKENDS[self.backend](self.folder)
        self.database = self.open()
        self.model = Model()
        self.count = 0

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    @rule(
        chosen=st.lists(operations, min_size=1, max_size=6),
        how=st.sampled_from(["alone", "one work", "batch"]),
    )
    def run(self, chosen: list[tuple[Any, ...]], how: str) -> None:
        """Each in a transaction of its own, all in one work, or each a work of a shared transaction."""
        if how == "alone":
            for operation in chosen:
                self.database.write(self.prepare(operation), durable=False)
        elif how == "one work":

            def work(tx: Transaction) -> None:
                for operation in chosen:
                    self.prepare(operation)(tx)

            self.database.write(work, durable=False)
        else:
            self.run_batch(chosen)

    def run_batch(self, chosen: list[tuple[Any, ...]]) -> None:
        """As if threads waited for their turn; every second one does its work and then fails.

        All are then run again: the model goes back to its beginning before the first one that it saw.
        """
        self.database._writes.turn.acquire()
        errors: list[BaseException] = []
        beginning = copy.deepcopy(self.model)
        seen: list[tuple[Any, ...]] = []

        def write(operation: tuple[Any, ...], fails: bool) -> None:
            def work(tx: Transaction) -> None:
                if fails:
                    undone(tx)
                    raise Failed
                if any(each is operation for each in seen):
                    self.model = copy.deepcopy(beginning)
                    seen.clear()
                seen.append(operation)
                self.prepare(operation)(tx)

            try:
                self.database.write(work, durable=False)
            except (Failed, AssertionError) as error:
                errors.append(error)

        def undone(tx: Transaction) -> None:
            ids = identify("F", "1", "1", "1")
            insertion.add_instance(
                tx, new_instance(ids, "20000101T000000", 0), NewAttachment(1, "failed", 7, 7)
            )
            for public_id in resources.list_ids(tx, Level.PATIENT, 0, 1):
                deletion.delete(tx, Level.PATIENT, public_id, "20000101T000000")

        threads = []
        for number, operation in enumerate(chosen):
            thread = threading.Thread(target=write, args=(operation, number % 2 == 1))
            thread.start()
            threads.append(thread)
            while self.database._writes.count_waiting() <= number:
                thread.join(0.001)
        self.database._writes.turn.release()
        for thread in threads:
            thread.join()
        assert [type(error) for error in errors] == [Failed] * (len(chosen) // 2), errors

    def prepare(self, operation: tuple[Any, ...]) -> Operation:
        """What an operation does to the transaction, which then is done to the model and compared."""
        kind, names, argument = operation
        ids = identify(*names)

        def apply(tx: Transaction) -> None:
            self.count += 1
            date, now_ns = f"2026{self.count:04}T000000", self.count
            if kind == "add":
                self.add(tx, ids, argument, date, now_ns)
                return
            resource = argument, ids.public_id(argument)
            row = resources.find_row(tx, *resource)
            assert (row is not None) == (resource in self.model.everything())
            if row is not None:
                self.mark(tx, kind, resource, row, date, now_ns)

        return apply

    def add(self, tx: Transaction, ids: Identifiers, overwrite: bool, date: str, now_ns: int) -> None:
        uuid, size = f"file {self.count}", self.count * 10
        added = insertion.add_instance(
            tx, new_instance(ids, date, now_ns), NewAttachment(1, uuid, size, size // 2), overwrite=overwrite
        )
        assert added.is_new == self.model.add(ids.public_ids(), uuid, size, overwrite, date, now_ns)

    def mark(self, tx: Transaction, kind: str, resource: Id, row: int, date: str, now_ns: int) -> None:
        model, level = self.model, resource[0]
        if kind == "delete":
            deleted = deletion.delete(tx, level, resource[1], date)
            gone, remaining = model.delete(level, resource[1], date)
            assert set(deleted.resources) == gone
            assert len(deleted.resources) == len(gone)
            assert deleted.remaining_ancestor == remaining
        elif kind == "label":
            labels.add_label(tx, level, row, date[-1])
            model.labels.add((resource, date[-1]))
        elif kind == "unlabel":
            labels.remove_label(tx, level, row, date[-1])
            model.labels.discard((resource, date[-1]))
        elif kind == "put":
            _, revision = model.metadata.get((resource, 1024), ("", -1))
            assert metadata.put_metadata(tx, level, row, 1024, date) == revision + 1
            model.metadata[resource, 1024] = date, revision + 1
        elif kind == "unput" and (resource, 1024) in model.metadata:
            metadata.delete_metadata(tx, level, row, 1024)
            del model.metadata[resource, 1024]
        elif kind == "protect" and level is Level.PATIENT:
            is_now = resource[1] not in model.protected
            set_protected(tx, resource[1], is_now, now_ns)
            model.protected ^= {resource[1]}
            model.recycling[resource[1]] = now_ns

    @rule()
    def clear_changes(self) -> None:
        self.database.write(changes.clear_changes)
        self.model.changes.clear()

    @rule()
    def restart(self) -> None:
        self.database.close()
        self.database = self.open()

    @invariant()
    def totals_agree(self) -> None:
        files = self.model.files.values()
        with self.database.read() as tx:
            found = statistics.totals(tx)
        assert found == statistics.Totals(
            patients=len(self.model.ids(Level.PATIENT)),
            studies=len(self.model.ids(Level.STUDY)),
            series=len(self.model.ids(Level.SERIES)),
            instances=len(files),
            size=sum(size for _, _, size in files),
            stored_size=sum(size // 2 for _, _, size in files),
        )

    @invariant()
    def resources_agree(self) -> None:
        model = self.model
        with self.database.read() as tx:
            for level in Level:
                ids = resources.list_ids(tx, level)
                assert ids == sorted(model.ids(level))
                for found in resources.load(tx, level, ids):
                    self.check(tx, found)

    def check(self, tx: Transaction, found: resources.Resource) -> None:
        model, level, key = self.model, found.level, (found.level, found.public_id)
        below = [parents for parents, _, _ in model.files.values() if parents[level] == found.public_id]
        assert found.parent == (below[0][level - 1] if level else None)
        assert found.labels == sorted(label for resource, label in model.labels if resource == key)
        stored = metadata.get_stored(tx, level, found.row, 1024)
        assert (None if stored is None else (stored.value, stored.revision)) == model.metadata.get(
            (key, 1024)
        )
        if level < Level.INSTANCE:
            assert found.children == sorted({parents[level + 1] for parents in below})
            assert found.last_update == model.dates[key]
            assert resources.children(tx, level, found.public_id, Level.INSTANCE) == sorted(
                parents[3] for parents in below
            )
            sizes = statistics.resource_statistics(tx, level, found.public_id)
            assert sizes.dicom_size == sizes.size == sum(model.files[parents[3]][2] for parents in below)
        else:
            assert [attachment.uuid for attachment in found.attachments] == [model.files[found.public_id][1]]
        if level is Level.PATIENT:
            assert found.is_protected == (found.public_id in model.protected)

    @invariant()
    def changes_agree(self) -> None:
        with self.database.read() as tx:
            page = changes.list_changes(tx, limit=10_000)
            assert changes.last_change(tx) == self.model.last_change
        assert [(c.seq, c.type, (c.level, c.public_id)) for c in page.changes] == self.model.changes

    @invariant()
    def deleted_files_agree(self) -> None:
        with self.database.read() as tx:
            assert set(deletion.list_deleted_files(tx, 10_000)) == self.model.deleted_files
            satellites = {
                (Level(level), row)
                for table in ("attachments", "metadata", "labels", "changes")
                for level, row in tx.rows(f"SELECT level, resource FROM {table}")
            }
            for level, row in satellites:
                table = TABLES[level]
                assert tx.row(f"SELECT 1 FROM {table} WHERE id = ?", row), f"{table} {row} is gone"

    @invariant()
    def headers_agree(self) -> None:
        ids = sorted(self.model.files)
        with self.database.read() as tx:
            found = {resource: packed for resource, _, packed in read_packed_headers(tx, Level.INSTANCE, ids)}
            for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
                uppers = sorted(self.model.ids(level))
                for upper, instance, packed in read_packed_headers(tx, level, uppers):
                    assert self.model.files[instance][0][level] == upper
                    assert packed == found[instance]
            orphans = tx.rows("SELECT id FROM header_references WHERE series NOT IN (SELECT id FROM series)")
        assert not orphans
        expected = {each: self.model.headers[each] for each in ids}
        assert found == {each: packed_of(number) if number % 3 else None for each, number in expected.items()}

    @invariant()
    def what_is_found_agrees(self) -> None:
        with self.database.read() as tx:
            for level in Level:
                assert find(tx, Query(level)) == sorted(self.model.ids(level))
                for patient in "AB":
                    query = Query(level, (Constraint(0x00100020, Match.EXACT, (patient,)),))
                    expected = {
                        parents[level]
                        for parents, _, _ in self.model.files.values()
                        if parents[0] == Identifiers(patient, "", "", "").public_id(Level.PATIENT)
                    }
                    assert set(find(tx, query)) == expected
                    assert count(tx, query) == len(expected)

    @invariant()
    def the_next_to_recycle_agrees(self) -> None:
        patients = sorted(
            self.model.ids(Level.PATIENT) - self.model.protected, key=self.model.recycling.__getitem__
        )
        with self.database.read() as tx:
            assert next_to_recycle(tx, "") == (patients[0] if patients else None)


IndexAndModel.TestCase.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
TestIndexAndModel = IndexAndModel.TestCase


class PostgresAndModel(IndexAndModel):
    """The same in PostgreSQL."""

    backend = "postgres"


PostgresAndModel.TestCase.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
TestPostgresAndModel = PostgresAndModel.TestCase
