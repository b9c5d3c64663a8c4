"""Uploads that go on where they were cut: files that grow on the disk until they are complete, and are then taken in.

Each has a file of data and a small record beside it. The record says how many bytes are surely on the disk: whatever is
behind them is cut off before the upload goes on, so a power cut leaves no hole. Both are deleted when they expire.
"""

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from uuid import UUID, uuid4

from hounsfield.errors import BadRequest, Cancelled, Conflict, Corrupt, NotFound, StorageFull
from hounsfield.ingest.checksums import CHECKSUMS
from hounsfield.store.durable import make_folder, sync_file, sync_folder
from hounsfield.store.spool import SpoolFile

_log = logging.getLogger("hounsfield.generic")

_SYNCED_BYTES = 64 << 20
_KEPT_FREE = 1 << 30
"""Bytes of the disk that uploads leave to the archive."""
_LONGEST_SWEEP_SECONDS = 3600.0
_IMPORT_PATIENCE = 7
"""How many times longer than others an upload is kept that is being taken in."""
_RECORD, _DATA, _RESULTS = ".json", ".data", ".results"


class TooManyUploads(Conflict):
    """More uploads are under way than may be."""


class UploadTooLarge(BadRequest):
    """More bytes than were announced, or than may be."""


class UploadElsewhere(NotFound):
    """Another server, which shares the storage, has this upload."""


class WrongOffset(Conflict):
    """The client wants to go on elsewhere than where we are."""


class WrongChecksum(Corrupt):
    """What arrived is not what was sent."""


class UploadState(Enum):
    """What an upload is doing."""

    RECEIVING = "Receiving"
    IMPORTING = "Importing"
    SUCCESS = "Success"
    FAILURE = "Failure"


@dataclass(frozen=True, slots=True)
class ResumableOptions:
    """Limits of resumable uploads; 0 for none. A `folder` that is on the disk of the archive spares a copy.

    Where several servers share a storage, `nodes` is what holds a folder of each, with such a folder in it.
    """

    folder: Path
    maximum_size: int = 0
    maximum_count: int = 1000
    expiry_seconds: int = 86400
    is_synced: bool = True
    nodes: Path | None = None


@dataclass(frozen=True, slots=True)
class Resumable:
    """An upload. `length` is None as long as the client does not know it; `offset` bytes are surely here.

    `metadata` is what the client told, as tus writes it. Times are nanoseconds since 1970.
    """

    id: str
    length: int | None
    offset: int
    metadata: str
    created_ns: int
    touched_ns: int
    username: str = ""
    remote_ip: str = ""
    state: UploadState = UploadState.RECEIVING
    job_id: str = ""
    problem: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are here."""
        return self.length is not None and self.offset == self.length


class PieceWriter:
    """Writes one piece of an upload. It ends with `finish` or `stop`, and somebody else may `stop` it."""

    def __init__(
        self, uploads: "ResumableUploads", upload: Resumable, checksum: tuple[str, bytes] | None
    ) -> None:
        self._uploads, self._upload = uploads, upload
        self._digest = CHECKSUMS[checksum[0]]() if checksum else None
        self._wanted = checksum[1] if checksum else b""
        self._lock = threading.Lock()
        self._is_open = True
        self._size = upload.offset
        self._fd = os.open(
            uploads.path(upload.id, _DATA), os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600
        )
        os.ftruncate(self._fd, upload.offset)
        os.lseek(self._fd, 0, os.SEEK_END)

    def write(self, data: bytes | bytearray) -> None:
        """Take the next bytes.

        Raises
        ------
        UploadTooLarge
            If these are more than there should be.
        StorageFull
            If there is no room for them.
        Cancelled
            If somebody else goes on with this upload.
        """
        with self._lock:
            if not self._is_open:
                raise Cancelled("Another request goes on with this upload")
            most = self._uploads.most_bytes(self._upload)
            if most is not None and self._size + len(data) > most:
                raise UploadTooLarge(f"The upload is longer than {most} bytes")
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError as cause:
                raise StorageFull("There is no room for the upload") from cause
            self._size += len(data)
            if self._digest is not None:
                self._digest.update(data)
            elif self._size - self._upload.offset >= _SYNCED_BYTES:
                self._commit()
                self._uploads.check_room(0)

    def finish(self) -> Resumable:
        """All of the piece is here; what the upload has become.

        Raises
        ------
        WrongChecksum
            If it is not what it should be: then nothing of it was kept.
        """
        with self._lock:
            if not self._is_open:
                raise Cancelled("Another request goes on with this upload")
            try:
                if self._digest is not None and self._digest.digest() != self._wanted:
                    raise WrongChecksum("The checksum does not match")
                self._commit()
            finally:
                self._close()
        return self._upload

    def stop(self) -> None:
        """No more will come: keep what is here, unless it cannot be checked."""
        with self._lock:
            try:
                if self._is_open and self._digest is None:
                    with suppress(NotFound):  # It was deleted meanwhile.
                        self._commit()
            finally:
                self._close()

    def _commit(self) -> None:
        self._uploads.sync(self._fd)
        self._upload = self._uploads.save(replace(self._upload, offset=self._size, touched_ns=time.time_ns()))

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._fd)
            self._uploads.release(self._upload.id, self)


class ResumableUploads:
    """The uploads under way, in a folder."""

    def __init__(self, options: ResumableOptions) -> None:
        self.options = options
        self._lock, self._recording = threading.Lock(), threading.Lock()
        self._writers: dict[str, PieceWriter] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        make_folder(options.folder, sync=options.is_synced)
        options.folder.chmod(0o700)  # Names of files may be names of patients.

    def start(self) -> None:
        """Delete what expires, now and as long as the server runs."""
        self._thread = threading.Thread(target=self._sweep_again_and_again, name="UPLOADS", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Keep what has arrived, and end."""
        self._stopping.set()
        for writer in list(self._writers.values()):
            writer.stop()
        if self._thread is not None:
            self._thread.join()

    def create(self, length: int | None, metadata: str, *, username: str, remote_ip: str) -> Resumable:
        """Begin an upload.

        Raises
        ------
        UploadTooLarge, TooManyUploads, StorageFull
            If it cannot be.
        """
        if self.options.maximum_size and (length or 0) > self.options.maximum_size:
            raise UploadTooLarge(f"The upload is longer than {self.options.maximum_size} bytes")
        known = list(self)
        if self.options.maximum_count and len(known) >= self.options.maximum_count:
            self.sweep()
            known = list(self)
            if len(known) >= self.options.maximum_count:
                raise TooManyUploads(f"There are {len(known)} uploads already")
        self.check_room((length or 0) + sum((each.length or each.offset) - each.offset for each in known))
        now_ns = time.time_ns()
        return self.save(
            Resumable(str(uuid4()), length, 0, metadata, now_ns, now_ns, username, remote_ip), is_new=True
        )

    def get(self, upload_id: str, username: str) -> Resumable:
        """An upload of a user.

        Raises
        ------
        NotFound
            If there is none, or it is another's.
        UploadElsewhere
            If another server has it.
        """
        found = self._read(upload_id)
        if found is None and self._is_elsewhere(upload_id):
            raise UploadElsewhere("This upload began on another server, and has to go on there")
        if found is None or found.username != username or self._is_expired(found):
            raise NotFound("No such upload")
        return found

    def find(self, upload_id: str) -> Resumable:
        """An upload of whoever it is.

        Raises
        ------
        NotFound
            If there is none.
        """
        found = self._read(upload_id)
        if found is None:
            raise NotFound("No such upload")
        return found

    def __iter__(self) -> Iterator[Resumable]:
        """All uploads, by id."""
        for path in sorted(self.options.folder.glob("*" + _RECORD)):
            found = self._read(path.name.removesuffix(_RECORD))
            if found is not None:
                yield found

    def settle(self, upload_id: str) -> None:
        """Stop whoever writes to an upload: a client that asks where to go on has lost its connection."""
        writer = self._writers.get(upload_id)
        if writer is not None:
            writer.stop()

    def open(
        self,
        upload: Resumable,
        offset: int,
        checksum: tuple[str, bytes] | None = None,
        length: int | None = None,
    ) -> PieceWriter:
        """Go on with an upload at `offset`; `length` if the client knows it by now.

        Raises
        ------
        WrongOffset
            If that is not where it is.
        UploadTooLarge
            If it is to become longer than it may.
        """
        self.settle(upload.id)
        with self._lock:
            found = self._read(upload.id)
            if found is None:
                raise NotFound("No such upload")
            if found.offset != offset:
                raise WrongOffset(f"The upload is at {found.offset}")
            if length is not None and found.length is None:
                if length < offset or (self.options.maximum_size and length > self.options.maximum_size):
                    raise UploadTooLarge("The upload cannot have this length")
                found = self.save(replace(found, length=length))
            writer = self._writers[upload.id] = PieceWriter(self, found, checksum)
            return writer

    def content(self, upload_id: str) -> SpoolFile:
        """The bytes of a complete upload; whoever closes them deletes them.

        Raises
        ------
        NotFound
            If they are gone.
        """
        try:
            return SpoolFile(self.path(upload_id, _DATA), is_new=False)
        except FileNotFoundError as cause:
            raise NotFound("The bytes of the upload are gone") from cause

    def data(self, upload_id: str) -> Path:
        """The file with the bytes of an upload, as long as there is one."""
        return self.path(upload_id, _DATA)

    def drop_content(self, upload_id: str) -> None:
        """Delete the bytes of an upload that is taken in."""
        self.data(upload_id).unlink(missing_ok=True)

    def results(self, upload_id: str) -> Path:
        """The file with a line for each file of the upload, if anything is known yet."""
        return self.path(upload_id, _RESULTS)

    def delete(self, upload_id: str) -> None:
        """Delete an upload and all that belongs to it."""
        self.settle(upload_id)
        with self._recording:
            for ending in (_RECORD, _DATA, _RESULTS):
                self.path(upload_id, ending).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete the uploads that expired, and what is left of others."""
        known = set()
        for each in self:
            known.add(each.id)
            if self._is_expired(each) and each.id not in self._writers:
                _log.info("Upload %s expired at %d bytes", each.id, each.offset)
                self.delete(each.id)
        now = time.time()
        for path in self.options.folder.iterdir():
            if path.name.partition(".")[0] not in known and now - path.stat().st_mtime > 60:
                path.unlink(missing_ok=True)

    def expires_ns(self, upload: Resumable) -> int:
        """When an upload is deleted if nothing more comes."""
        return upload.touched_ns + self.options.expiry_seconds * 1_000_000_000

    def save(self, upload: Resumable, *, is_new: bool = False) -> Resumable:
        """Write the record of an upload, whole or not at all.

        Raises
        ------
        NotFound
            If it was deleted meanwhile.
        """
        path = self.path(upload.id, _RECORD)
        temporary = path.with_suffix(".new")
        text = json.dumps({**asdict(upload), "state": upload.state.value})
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            self.sync(file.fileno())
        with self._recording:
            if not is_new and not path.exists():
                temporary.unlink()
                raise NotFound("The upload was deleted")
            temporary.replace(path)
        if self.options.is_synced:
            sync_folder(self.options.folder)
        return upload

    def path(self, upload_id: str, ending: str) -> Path:
        """A file of an upload.

        Raises
        ------
        NotFound
            If this is no id.
        """
        try:
            return self.options.folder / (str(UUID(upload_id)) + ending)
        except ValueError as cause:
            raise NotFound("No such upload") from cause

    def _is_elsewhere(self, upload_id: str) -> bool:
        nodes, folder = self.options.nodes, self.options.folder
        record = self.path(upload_id, _RECORD).name
        return nodes is not None and any(nodes.glob(f"*/{folder.name}/{record}"))

    def sync(self, fd: int) -> None:
        """Make a file durable, if that is wanted."""
        if self.options.is_synced:
            sync_file(fd)

    def most_bytes(self, upload: Resumable) -> int | None:
        """How many bytes an upload may have; None if there is no limit."""
        return upload.length if upload.length is not None else self.options.maximum_size or None

    def check_room(self, wanted: int) -> None:
        """Refuse what would fill the disk.

        Raises
        ------
        StorageFull
            If there is not room for so many bytes and some for the archive.
        """
        if wanted + _KEPT_FREE > shutil.disk_usage(self.options.folder).free:
            raise StorageFull("There is no room for the upload")

    def release(self, upload_id: str, writer: PieceWriter) -> None:
        """A writer has ended."""
        if self._writers.get(upload_id) is writer:
            del self._writers[upload_id]

    def _read(self, upload_id: str) -> Resumable | None:
        try:
            read = json.loads(self.path(upload_id, _RECORD).read_text("utf-8"))
            return Resumable(**{**read, "state": UploadState(read["state"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            _log.warning("The record of upload %s is damaged", upload_id)
            return None

    def _is_expired(self, upload: Resumable) -> bool:
        patience = _IMPORT_PATIENCE if upload.state is UploadState.IMPORTING else 1
        late_ns = time.time_ns() - upload.touched_ns
        return 0 < patience * self.options.expiry_seconds * 1_000_000_000 < late_ns

    def _sweep_again_and_again(self) -> None:
        pause = min(_LONGEST_SWEEP_SECONDS, max(1.0, self.options.expiry_seconds / 4))
        while True:
            try:
                self.sweep()
            except OSError:
                _log.exception("Expired uploads cannot be deleted")
            if self._stopping.wait(pause):
                return
