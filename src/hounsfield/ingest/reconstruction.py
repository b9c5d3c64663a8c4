"""Reading stored files once more: what the index keeps of them is written anew, and the files too if asked.

Metadata, attachments and labels of users stay, and so do identifiers: only the tags that the index holds, the headers
and what tells of the file itself are made again.
"""

from collections.abc import Collection, Iterator

from hounsfield.dicom.identifiers import PublicId, identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.packed_header import pack_header
from hounsfield.dicom.part10 import Head, read_head
from hounsfield.errors import NotFound
from hounsfield.index.attachments import Attachment, AttachmentType, Compression, find_attachment
from hounsfield.index.database import Transaction
from hounsfield.index.headers import put_header
from hounsfield.index.reconstruction import rebuild
from hounsfield.index.resources import ancestor, children, first_instance, list_ids
from hounsfield.ingest.attachments import replace_content
from hounsfield.ingest.instance import Origin, OriginKind, PublicIds, Reception, describe
from hounsfield.ingest.intake import Incoming, Intake
from hounsfield.store.area import FileKey
from hounsfield.store.compression import decompress

_UPPER_LEVELS = (Level.PATIENT, Level.STUDY, Level.SERIES)
_NOBODY = Reception(Origin(OriginKind.UNKNOWN), "", 0)


def reconstruct(
    intake: Intake, level: Level, public_id: str, *, renews_files: bool = False, only_this_level: bool = False
) -> None:
    """Read the files below a resource again.

    With `renews_files` they are also transcoded and compressed as the configuration says now. With `only_this_level`
    nothing but the main DICOM tags of the resource itself is written.

    Raises
    ------
    NotFound
        If there is no such resource.
    Corrupt
        If a file is damaged.
    """
    with intake.archive.database.read() as tx:
        first = first_instance(tx, level, public_id)
        firsts = _first_instances(tx, level, public_id)
        instances = children(tx, level, public_id, Level.INSTANCE)
    if only_this_level:
        _reconstruct_instance(intake, first, (level,), renews_file=False)
        return
    for instance in instances:
        levels = (*firsts.get(instance, ()), Level.INSTANCE)
        _reconstruct_instance(intake, instance, levels, renews_file=renews_files)
    for upper in _UPPER_LEVELS:
        if upper < level:
            with intake.archive.database.read() as tx:
                above = ancestor(tx, level, public_id, upper)
                first = first_instance(tx, upper, above)
            _reconstruct_instance(intake, first, (upper,), renews_file=False)


def reconstruct_all(intake: Intake, *, renews_files: bool = False) -> None:
    """Read all files of the archive again, patient by patient; errors as of `reconstruct`."""
    for public_id in _all_patients(intake):
        try:
            reconstruct(intake, Level.PATIENT, public_id, renews_files=renews_files)
        except NotFound:  # Deleted meanwhile.
            continue


def _all_patients(intake: Intake) -> Iterator[PublicId]:
    with intake.archive.database.read() as tx:
        found = list_ids(tx, Level.PATIENT)
    yield from found


def _first_instances(tx: Transaction, level: Level, public_id: str) -> dict[PublicId, list[Level]]:
    """The instances that patients, studies and series take their tags from, at a level and below, and for which."""
    found: dict[PublicId, list[Level]] = {}
    for upper in _UPPER_LEVELS:
        if upper >= level:
            for each in children(tx, level, public_id, upper):
                found.setdefault(first_instance(tx, upper, each), []).append(upper)
    return found


def _reconstruct_instance(
    intake: Intake, public_id: PublicId, levels: Collection[Level], *, renews_file: bool
) -> None:
    with intake.archive.database.read() as tx:
        attachment = find_attachment(tx, Level.INSTANCE, public_id, AttachmentType.DICOM)
        if attachment is None:
            raise NotFound("No such instance")
        patient, study, series, instance = (ancestor(tx, Level.INSTANCE, public_id, each) for each in Level)
    public_ids = (patient, study, series, instance)
    data = intake.archive.storage.read(FileKey(attachment.uuid), 0, attachment.stored_size)
    if attachment.compression == Compression.ZLIB_WITH_SIZE:
        data = decompress(data)
    head = read_head(data, default_encoding=intake.options.default_encoding)
    if renews_file:
        transcoded = _transcoded(intake, data, head)
        to = Compression.ZLIB_WITH_SIZE if intake.options.is_compressed else Compression.NONE
        if transcoded is not None or to != attachment.compression:
            data, head = transcoded or (data, head)
            _replace(intake, public_ids, attachment, data, head, levels, to)
            return
    intake.archive.database.write(
        lambda tx: _rewrite_rows(tx, intake, head, public_ids, levels), durable=False
    )


def _transcoded(intake: Intake, data: bytes, head: Head) -> tuple[bytes, Head] | None:
    """The file as it would be if it came in now; None if it would be as it is."""
    made = (
        intake.transcode(Incoming(_NOBODY.origin, data, is_uid_kept=True), head) if intake.transcode else None
    )
    if made is None or not isinstance(made.content, bytes):
        return None
    return made.content, read_head(made.content, default_encoding=intake.options.default_encoding)


def _replace(
    intake: Intake,
    public_ids: PublicIds,
    attachment: Attachment,
    data: bytes,
    head: Head,
    levels: Collection[Level],
    to: Compression,
) -> None:
    def also(tx: Transaction) -> None:
        _rewrite_rows(tx, intake, head, public_ids, levels)

    instance = public_ids[Level.INSTANCE]
    replace_content(intake, Level.INSTANCE, instance, attachment, data, to=to, also=also)


def _rewrite_rows(
    tx: Transaction, intake: Intake, head: Head, public_ids: PublicIds, levels: Collection[Level]
) -> None:
    new = describe(
        head,
        identify(head.dataset),
        _NOBODY,
        main_tags=intake.options.main_tags,
        main_tags_version=intake.main_tags_version,
        public_ids=public_ids,
    )
    rebuild(tx, new, levels)
    packed = pack_header(head) if Level.INSTANCE in levels else None
    if packed is not None:
        put_header(tx, public_ids[Level.INSTANCE], packed)
