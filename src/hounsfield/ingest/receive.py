"""The only way in.

The order is what makes an acknowledgement worth something: the file is durable, then its row is on its way into the
index, then the sender is answered. The rows of a moment share a commit, which whoever looks into the index waits for;
then events tell of them. A row that did not get there is made again from the note in its file (`recovery`,
`settling`). A file is deleted only when its row surely was not committed, and its sender not told that it is safe.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import Identifiers, identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import Head, read_head
from hounsfield.dicom.pixel_extent import is_cut_off
from hounsfield.errors import (
    BadRequest,
    Corrupt,
    DatabaseCannotSerialize,
    DatabaseUnavailable,
    NotFound,
    StorageFull,
)
from hounsfield.events import InstanceReceived, InstanceReceivedAgain, ResourceCreated, ResourceDeleted
from hounsfield.index.attachments import AttachmentType, Compression, find_attachment
from hounsfield.index.database import Transaction
from hounsfield.index.deletion import Deleted, delete, mark_file_deleted
from hounsfield.index.headers import NewHeader
from hounsfield.index.insertion import (
    Added,
    NewAttachment,
    NewInstance,
    ParentsMissing,
    add_instance,
    add_instances,
    are_known,
    has_file,
)
from hounsfield.index.patients import next_to_recycle
from hounsfield.index.replacing import Replacement
from hounsfield.index.resources import ancestor, find_row
from hounsfield.ingest.instance import PublicIds, Reception, date_of, describe, origin_metadata
from hounsfield.ingest.intake import Incoming, IngestOptions, Intake, Outcome, Overwrite, Receipt
from hounsfield.ingest.note import Note, write_note
from hounsfield.store.area import FileKey
from hounsfield.store.compression import compress, decompress
from hounsfield.store.note import crc32_of_parts
from hounsfield.store.spool import Buffer, SpoolFile

_LARGE = 8 << 20  # Bytes from which a file is compressed by way of the spool.


def receive(intake: Intake, incoming: Incoming) -> Receipt:
    """Take an instance in.

    Returns
    -------
    Its outcome and identifiers. On `SUCCESS` the instance is durable (if the storage area synchronises), and there for
    whoever looks into the index from now on.

    Raises
    ------
    Corrupt
        If it is not DICOM.
    MissingTag
        If it lacks a Study, Series or SOP Instance UID.
    StorageFull
        If there is no room for it.
    BadRequest
        If the archive is read-only.
    TurnedAway
        If a filter says so.
    """
    with intake.metrics.measured("orthanc_store_dicom_duration_ms"):
        return _receive(intake, incoming)


def _receive(intake: Intake, incoming: Incoming) -> Receipt:
    if intake.options.is_read_only:
        raise BadRequest("The archive is read-only")
    head = _read(intake, incoming)
    if incoming.check is not None:
        incoming.check(head)
    if intake.transcode is not None:
        transcoded = intake.transcode(incoming, head)
        if transcoded is not None:
            kept = incoming
            incoming = replace(
                transcoded, made_from=kept.made_from, original=kept.original, replaced=kept.replaced
            )
            head = _read(intake, incoming)
    identifiers = identify(head.dataset)
    if not all(accepts(incoming, head) for accepts in intake.filters):
        return Receipt(Outcome.FILTERED_OUT, identifiers)
    public_ids = identifiers.public_ids()
    overwrite, public_id = intake.options.overwrite, public_ids[Level.INSTANCE]
    is_later, released = intake.may_index_later, intake.arriving.released
    if is_later and public_id in intake.arriving:
        return _stored_already(intake, incoming, identifiers)
    has_series, has_instance, header = _look_up(intake, head, public_ids, is_later=is_later)
    if has_instance and overwrite is Overwrite.NEVER:
        return _stored_already(intake, incoming, identifiers)
    if has_instance and overwrite is Overwrite.IF_CHANGED and _is_same_file(intake, incoming, public_id):
        return _stored_already(intake, incoming, identifiers)
    describe_it = partial(_describe, intake, incoming, head, identifiers, public_ids, header)
    new = describe_it(intake.clock_ns(), with_parents=not has_series or overwrite is not Overwrite.NEVER)
    is_staged = incoming.replaced is not None and incoming.original == public_id
    file = _store(intake, incoming, new, is_staged=is_staged)
    if is_staged and incoming.replaced is not None:
        return Receipt(Outcome.SUCCESS, identifiers, Replacement(new, file, incoming.replaced))
    if is_later:
        is_new = _index_later(intake, new, file, released)
    else:
        try:
            is_new = _index(intake, new, file, incoming.original).is_new
        except ParentsMissing:  # The series was deleted meanwhile.
            new = describe_it(new.received_ns, with_parents=True)
            is_new = _index(intake, new, file, incoming.original).is_new
    if not is_new:
        return _stored_already(intake, incoming, identifiers)
    return Receipt(Outcome.SUCCESS, identifiers)


def _look_up(
    intake: Intake, head: Head, public_ids: PublicIds, *, is_later: bool
) -> tuple[bool, bool, NewHeader | None]:
    """Whether the index has the series and the instance, or will have them, and the header for it."""
    series, public_id = public_ids[Level.SERIES], public_ids[Level.INSTANCE]
    if is_later:
        intake.young.check(intake.archive.database.forgotten)
        if intake.young.is_new(series, public_id):
            return True, False, intake.headers.pack(head, series)
    with intake.archive.database.peek(may_lag=is_later) as tx:
        has_series, has_instance = are_known(tx, series, public_id)
        header = intake.headers.pack(head, series, tx if has_series else None)
    if is_later and not has_series:
        intake.young.begin(series)
        has_series = intake.young.has(series)
    return has_series, has_instance, header


def _stored_already(intake: Intake, incoming: Incoming, identifiers: Identifiers) -> Receipt:
    """What comes again is told of: many scripts send on what they are told of, and so what is sent once more."""
    again = InstanceReceivedAgain(identifiers.public_ids(), origin_metadata(incoming.origin))
    if not intake.arriving.defer(again):
        intake.archive.events.publish(again)
    return Receipt(Outcome.ALREADY_STORED, identifiers)


def _read(intake: Intake, incoming: Incoming) -> Head:
    content = incoming.content
    data = content.view() if isinstance(content, SpoolFile) else content
    head = read_head(
        data,
        transfer_syntax_uid=incoming.transfer_syntax_uid,
        default_encoding=intake.options.default_encoding,
    )
    if head.is_truncated:
        raise Corrupt("The file is cut off in its header")
    if not incoming.rest and is_cut_off(head, data):
        raise Corrupt("The file is cut off in its pixel data")
    return head


def _describe(
    intake: Intake,
    incoming: Incoming,
    head: Head,
    identifiers: Identifiers,
    public_ids: PublicIds,
    header: NewHeader | None,
    now_ns: int,
    *,
    with_parents: bool,
) -> NewInstance:
    return describe(
        head,
        identifiers,
        Reception(incoming.origin, date_of(now_ns), now_ns, incoming.made_from),
        main_tags=intake.options.main_tags,
        main_tags_version=intake.main_tags_version,
        offset=len(incoming.prefix),
        public_ids=public_ids,
        with_parents=with_parents,
        header=header,
    )


def _is_same_file(intake: Intake, incoming: Incoming, public_id: str) -> bool:
    """Whether these bytes are those that the archive has."""
    parts = _parts(incoming)
    with intake.archive.database.peek() as tx:
        stored = find_attachment(tx, Level.INSTANCE, public_id, AttachmentType.DICOM)
    if stored is None or stored.size != sum(len(part) for part in parts):
        return False
    try:
        data = intake.archive.storage.read(FileKey(stored.uuid), 0, stored.stored_size)
        plain = decompress(data) if stored.compression == Compression.ZLIB_WITH_SIZE else data
    except (NotFound, Corrupt):  # Damaged, or deleted just now: what came in replaces it.
        return False
    return plain == b"".join(parts)


def _parts(incoming: Incoming) -> list[Buffer]:
    content = incoming.content
    if isinstance(content, SpoolFile):
        return [content.view()]
    return [incoming.prefix, content, *incoming.rest] if incoming.prefix else [content, *incoming.rest]


def _store(intake: Intake, incoming: Incoming, new: NewInstance, *, is_staged: bool) -> NewAttachment:
    """Put the file in the storage area."""
    parts = _parts(incoming)
    size = sum(len(part) for part in parts)
    compression = Compression.ZLIB_WITH_SIZE if intake.options.is_compressed else Compression.NONE
    reception = Reception(incoming.origin, new.reception_date, new.received_ns, incoming.made_from)
    is_overwriting = intake.options.overwrite is not Overwrite.NEVER
    note = write_note(Note(size, compression, is_overwriting, reception, is_staged))
    storage, content, stored_size = intake.archive.storage, incoming.content, size
    if compression is Compression.ZLIB_WITH_SIZE:
        key, stored_size, crc32 = _store_compressed(intake, parts, note)
    else:
        crc32 = crc32_of_parts(parts)
        if isinstance(content, SpoolFile):
            key = storage.adopt(content, note, crc32)
        else:
            key = storage.create(parts, note, crc32)
    return NewAttachment(AttachmentType.DICOM, key, size, stored_size, compression, stored_crc32=crc32)


def _store_compressed(intake: Intake, parts: Sequence[Buffer], note: bytes) -> tuple[FileKey, int, int]:
    """Put the compressed file in the storage area, by way of the spool if it is large; its key, size and CRC-32."""
    if intake.spool is None or sum(map(len, parts)) < _LARGE:
        pieces = [piece for piece in compress(parts) if piece]
        crc32 = crc32_of_parts(pieces)
        return intake.archive.storage.create(pieces, note, crc32), sum(map(len, pieces)), crc32
    spooled, crc32 = intake.spool.create(), 0
    try:
        for piece in compress(parts):
            spooled.write(piece)
            crc32 = crc32_of_parts([piece], crc32)
        stored_size = spooled.size
        return intake.archive.storage.adopt(spooled, note, crc32), stored_size, crc32
    except OSError as error:
        raise StorageFull("A compressed file cannot be spooled") from error
    finally:
        spooled.close()


def _index(intake: Intake, new: NewInstance, file: NewAttachment, original: str | None) -> Added:
    """Commit the row, delete what had to make room, and tell of it."""
    key = FileKey(file.uuid)

    def work(tx: Transaction) -> tuple[Added, list[Deleted]]:
        added = add_instance(tx, new, file, overwrite=intake.options.overwrite is not Overwrite.NEVER)
        if not added.is_new:
            mark_file_deleted(tx, key)
            return added, []
        return added, make_room(tx, intake.options, [new], original)

    try:
        added, recycled = intake.archive.database.write(work, durable=False)
    except (StorageFull, DatabaseCannotSerialize):
        with intake.archive.database.peek() as tx:
            is_indexed = has_file(tx, file.uuid)  # By another server, which took this one for dead.
        if not is_indexed:
            intake.archive.storage.remove([key])
        raise
    except DatabaseUnavailable:  # Whether the row was committed is seen when the database is back.
        intake.settling.add(key)
        raise
    intake.arriving.is_possible = True
    tell(intake, new, key, added)
    for deleted in recycled:
        for level, public_id in deleted.resources:
            intake.archive.events.publish(ResourceDeleted(level, public_id))
    if recycled:
        intake.settling.files_were_deleted()
    return added


def _index_later(intake: Intake, new: NewInstance, file: NewAttachment, released: int) -> bool:
    """Have the row committed with others; what goes wrong then is made good from the file. False if there is one.

    `released` is how many had left before the index was asked whether it has the instance.
    """
    key, public_id = FileKey(file.uuid), new.public_ids[Level.INSTANCE]
    if not _claim(intake, new.public_ids, key, released):  # It came twice at the same time.
        intake.archive.storage.remove([key])
        return False

    def done(added: Added) -> None:
        came_again = intake.arriving.release(public_id)
        tell(intake, new, key, added)
        _tell_again(intake, came_again)

    def failed(error: BaseException) -> None:
        if not isinstance(error, ParentsMissing):
            intake.arriving.is_possible = False
        intake.settling.index_again(key)
        _tell_again(intake, intake.arriving.release(public_id))

    intake.archive.database.write_soon(_add_all, (new, file), done, failed)
    intake.young.queued(new.public_ids[Level.SERIES])
    return True


def _add_all(tx: Transaction, items: Sequence[tuple[NewInstance, NewAttachment]]) -> list[Added]:
    """Add the rows of a moment; the files of those that are there already are given up."""
    results = add_instances(tx, items)
    for (_, file), added in zip(items, results, strict=True):
        if not added.is_new:
            mark_file_deleted(tx, FileKey(file.uuid))
    return results


def _claim(intake: Intake, public_ids: PublicIds, key: FileKey, released: int) -> bool:
    public_id = public_ids[Level.INSTANCE]
    if not intake.arriving.claim(public_id, key):
        return False
    is_new = intake.young.add(public_ids[Level.SERIES], public_id)
    if is_new or intake.arriving.released == released:
        return True
    with intake.archive.database.peek(may_lag=True) as tx:
        if not are_known(tx, public_id, public_id)[1]:
            return True
    _tell_again(intake, intake.arriving.withdraw(public_id))
    return False


def tell(intake: Intake, new: NewInstance, key: FileKey, added: Added) -> None:
    """Tell of a row that was committed."""
    if added.is_new:
        intake.settling.add(key)
        _publish(intake.archive, new, added)
    if added.deleted_uuids or not added.is_new:
        intake.settling.files_were_deleted()


def _tell_again(intake: Intake, came_again: Iterable[InstanceReceivedAgain]) -> None:
    """Tell of what came again while the first was on its way."""
    for again in came_again:
        intake.archive.events.publish(again)


def make_room(
    tx: Transaction, options: IngestOptions, added: Sequence[NewInstance], original: str | None = None
) -> list[Deleted]:
    """Delete the patients that received nothing for the longest time until what was added fits.

    Raises
    ------
    StorageFull
        If that is not allowed, or not enough; the transaction is then undone.
    """
    recycled: list[Deleted] = []
    while _is_too_much(tx, options):
        spared = {each.public_ids[Level.PATIENT]: None for each in added}
        if original is not None and find_row(tx, Level.INSTANCE, original) is not None:
            spared[ancestor(tx, Level.INSTANCE, original, Level.PATIENT)] = None
        victim = next_to_recycle(tx, *spared) if options.is_recycling else None
        if victim is None:
            raise StorageFull("The archive has reached its maximum size, and nothing may be recycled")
        recycled.append(delete(tx, Level.PATIENT, victim, added[0].reception_date))
    return recycled


def _is_too_much(tx: Transaction, options: IngestOptions) -> bool:
    if options.maximum_size and tx.total("stored_size") > options.maximum_size:
        return True
    return bool(options.maximum_patients) and tx.total("patients") > options.maximum_patients


def _publish(archive: Archive, new: NewInstance, added: Added) -> None:
    for level in added.created:
        archive.events.publish(ResourceCreated(level, new.public_ids[level]))
    archive.events.publish(InstanceReceived(new.public_ids))
