"""Series of the archive as volumes: read once, kept in memory up to a limit, shared by all who look at them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from hounsfield.archive import Archive
from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, Cancelled, Refused, TimedOut
from hounsfield.imaging.series import FRAMES_MAX, Member, Series, arrange
from hounsfield.imaging.volume import Volume, VolumePlan, load_volume, plan_volume
from hounsfield.index.attachments import Attachment
from hounsfield.index.resources import get_row
from hounsfield.index.series_files import series_files, series_size
from hounsfield.retrieve.datasets import read_instance_head
from hounsfield.retrieve.files import find_dicom
from hounsfield.retrieve.frames import file_buffer

_SERIES_KEPT = 8
_FRAMES_KEPT_MAX = 1 << 14
_WAITING_MAX = 16
_PATIENCE_SECONDS = 0.25

Key = tuple[str, ...]
"""The files of a series: another file, another key, so that what was kept is never stale."""

Gone = Callable[[], bool]


class TooBusy(TimedOut):
    """Too many others already wait for volumes to be read."""


@dataclass(slots=True)
class _Loading:
    """A volume that is being read: who waits for it, and what came out."""

    waiting: list[Gone] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    volume: Volume | None = None
    error: ArchiveError | None = None

    def is_wanted(self) -> bool:
        """Whether anybody still waits."""
        return any(not gone() for gone in tuple(self.waiting))


def _finished(volume: Volume) -> _Loading:
    loading = _Loading(volume=volume)
    loading.done.set()
    return loading


class VolumeCache:
    """Volumes in memory, of at most `maximum_bytes` together; those not looked at for longest go first.

    One volume is read at a time, by all processors. Whoever asks for a volume that is being read waits for it, and
    when all of them are gone the reading stops.
    """

    def __init__(self, archive: Archive, maximum_bytes: int) -> None:
        self._archive = archive
        self._maximum = maximum_bytes
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._volumes: OrderedDict[tuple[int, Key], Volume] = OrderedDict()
        self._series: OrderedDict[Key, Series] = OrderedDict()
        self._loading: dict[tuple[int, Key], _Loading] = {}

    def series(self, public_id: str, level: Level = Level.SERIES, is_gone: Gone = lambda: False) -> Series:
        """The headers of a series, or of one instance as if it were one, sorted into stacks.

        Raises
        ------
        NotFound
            If there is no such series.
        Refused
            If it has more instances than anybody should look at.
        Cancelled
            If the caller is gone.
        """
        return self._arranged(self._files(public_id, level), is_gone)

    def volume(
        self, public_id: str, stack: int = 0, is_gone: Gone = lambda: False, level: Level = Level.SERIES
    ) -> Volume:
        """The volume of a stack.

        Parameters
        ----------
        public_id
            Of the series, or of an instance.
        stack
            Its index among the stacks, the largest of which is 0.
        is_gone
            Whether the caller has lost interest, asked from time to time.
        level
            What the id is of.

        Raises
        ------
        NotFound
            If there is no such series.
        BadRequest, Unsupported, Corrupt, Refused
            As of `plan_volume` and `load_volume`.
        Cancelled
            If the caller is gone.
        TooBusy
            If too many wait already.
        """
        files = self._files(public_id, level)
        key = stack, _key(files)
        found = self._kept(key)
        while found is None:
            if is_gone():
                raise Cancelled("nobody waits for the volume")
            plan = plan_volume(self._arranged(files, is_gone), stack, maximum_bytes=self._maximum)
            found = self._wait(self._join(key, plan, is_gone), is_gone)
        return found

    def _join(self, key: tuple[int, Key], plan: VolumePlan, is_gone: Gone) -> _Loading:
        """Wait with others, or begin to read."""
        with self._lock:
            kept = self._volumes.get(key)  # It may have been read since.
            if kept is not None:
                return _finished(kept)
            if sum(len(each.waiting) for each in self._loading.values()) >= _WAITING_MAX:
                raise TooBusy("too many wait for volumes to be read; try again")
            loading = self._loading.get(key)
            if loading is None:
                loading = self._loading[key] = _Loading([is_gone])
                reader = threading.Thread(target=self._load, args=(key, plan, loading), name="VOLUME")
                reader.daemon = True
                reader.start()
            else:
                loading.waiting.append(is_gone)
            return loading

    def _kept(self, key: tuple[int, Key]) -> Volume | None:
        with self._lock:
            found = self._volumes.get(key)
            if found is not None:
                self._volumes.move_to_end(key)
            return found

    def _wait(self, loading: _Loading, is_gone: Gone) -> Volume | None:
        """What was read; None if the reading stopped because those who had waited for it were gone."""
        while not loading.done.wait(_PATIENCE_SECONDS):
            if is_gone():
                with self._lock:
                    loading.waiting.remove(is_gone)
                raise Cancelled("nobody waits for the volume")
        if loading.error is not None:
            raise loading.error
        return loading.volume

    def _load(self, key: tuple[int, Key], plan: VolumePlan, loading: _Loading) -> None:
        """Read a volume, one after the other, and tell those who wait."""
        try:
            with self._reading:
                self._make_room(plan.nbytes)
                loading.volume = load_volume(plan, is_wanted=loading.is_wanted)
        except Cancelled:
            pass  # Somebody who came just now begins anew.
        except ArchiveError as error:
            loading.error = error
        finally:
            with self._lock:
                del self._loading[key]
                if loading.volume is not None:
                    self._volumes[key] = loading.volume
            loading.done.set()

    def _make_room(self, nbytes: int) -> None:
        with self._lock:
            while self._volumes and self._kept_bytes() + nbytes > self._maximum:
                self._volumes.popitem(last=False)

    def _kept_bytes(self) -> int:
        return sum(volume.array.nbytes for volume in self._volumes.values())

    def plan(self, public_id: str, stack: int = 0, level: Level = Level.SERIES) -> VolumePlan:
        """What the volume of a stack will be, without reading it. Errors as of `volume`."""
        return plan_volume(self.series(public_id, level), stack, maximum_bytes=self._maximum)

    def _files(self, public_id: str, level: Level) -> list[Attachment]:
        if level is Level.INSTANCE:
            return [find_dicom(self._archive, public_id)]
        with self._archive.database.read() as tx:
            row = get_row(tx, Level.SERIES, public_id)
            count, _ = series_size(tx, row)
            if count > FRAMES_MAX:
                raise Refused(f"the series has {count} instances, more than {FRAMES_MAX}")
            return [each.attachment for each in series_files(tx, row)]

    def _arranged(self, files: list[Attachment], is_gone: Gone) -> Series:
        key = _key(files)
        with self._lock:
            found = self._series.get(key)
            if found is not None:
                self._series.move_to_end(key)
                return found
        series = arrange(self._members(files, is_gone))
        if sum(len(stack.frames) for stack in series.stacks) > _FRAMES_KEPT_MAX:
            return series
        with self._lock:
            self._series[key] = series
            while len(self._series) > _SERIES_KEPT:
                self._series.popitem(last=False)
        return series

    def _members(self, files: list[Attachment], is_gone: Gone) -> Iterator[Member]:
        for file in files:
            if is_gone():
                raise Cancelled("nobody waits for the series")
            head = read_instance_head(self._archive, file)
            yield Member(head, file.size, partial(file_buffer, self._archive, file))


def _key(files: list[Attachment]) -> Key:
    return tuple(file.uuid for file in files)
