"""What happens on this node: the jobs that run, those that stand still, and who waits for a change of them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from hounsfield.index.jobs import JobRow
from hounsfield.jobs.active import Active, Steps, Wish, close

_REMEMBERED = 256
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Held:
    """An unsaved job that is paused, with its generator where it stopped."""

    active: Active
    steps: Steps

    def drop(self) -> None:
        """It will not go on."""
        close(self.steps)
        self.active.run.release()


@dataclass(frozen=True, slots=True)
class Owed:
    """What is still to be written of a job that has stopped, and why it could not be."""

    write: Callable[[], None]
    error: Exception


class Floor:
    """Who works on what. Any thread may ask; whatever changes wakes all who sleep."""

    def __init__(self) -> None:
        self.taking = threading.Lock()
        """Held while a job of the index becomes one of ours: meanwhile it would look like one that nobody runs."""
        self._changed = threading.Condition()
        self._generation = 0
        self._is_stopping = False
        self._active: dict[str, Active] = {}
        self._held: dict[str, Held] = {}
        self._owed: dict[str, Owed] = {}
        self._recent: OrderedDict[str, JobRow] = OrderedDict()

    # --- Waiting for a change ---

    @property
    def generation(self) -> int:
        """A number that is another one after every change; to be asked before looking at what may change."""
        return self._generation

    @property
    def is_stopping(self) -> bool:
        """Whether the server stops."""
        return self._is_stopping

    def notify(self) -> None:
        """Wake all who sleep: something changed, here or in the index."""
        with self._changed:
            self._generation += 1
            self._changed.notify_all()

    def sleep(self, generation: int, seconds: float | None) -> None:
        """Wait until something has changed since `generation`, for `seconds` at most, or the server stops."""
        with self._changed:
            if self._generation == generation and not self._is_stopping:
                self._changed.wait(seconds)

    def stand_still(self, active: Active) -> None:
        """Wait as long as a job is to pause."""
        with self._changed:
            while active.wish is Wish.PAUSE and not self._is_stopping:
                self._changed.wait()

    def interrupt(self, *, has_streams: bool) -> None:
        """The server stops: ask jobs to stop at their next yield, those that are streams if `has_streams`."""
        with self._changed:
            self._is_stopping = True
            for active in self._active.values():
                if has_streams or not active.is_stream:
                    active.wish = active.wish or Wish.LEAVE
            self.notify()

    # --- Jobs that run ---

    def enter(self, active: Active) -> None:
        """A job runs from now on. Whoever ran it here before, and lost it, has nothing to tell any more."""
        with self._changed:
            former = self._active.get(active.row.id)
            if former is not None and former is not active:
                former.is_lost, former.wish = True, former.wish or Wish.LEAVE
            active.wish = Wish.LEAVE if self._is_stopping and not active.is_stream else None
            self._active[active.row.id] = active

    def depart(self, active: Active) -> Wish | None:
        """A job runs no more; what was wanted of it last."""
        with self._changed:
            if self._active.get(active.row.id) is active:
                del self._active[active.row.id]
                self._owed.pop(active.row.id, None)
            self.notify()
            return active.wish

    def active(self, job_id: str) -> Active | None:
        """A job that runs here, or None."""
        return self._active.get(job_id)

    def active_ids(self) -> Collection[str]:
        """The jobs that run here."""
        with self._changed:
            return set(self._active)

    def ask(self, job_id: str, wish: Wish) -> bool:
        """Tell a job what is wanted of it; False if it does not run here. Who was cancelled stays so."""
        with self.taking, self._changed:
            active = self._active.get(job_id)
            if active is None:
                return False
            if active.wish is not Wish.CANCEL:
                active.wish = wish
            self.notify()
            return True

    def withdraw_pause(self, job_id: str) -> bool:
        """Let a job go on that is about to pause, or is a stream that does; False if there is none."""
        with self._changed:
            active = self._active.get(job_id)
            if active is None or active.wish is not Wish.PAUSE:
                return False
            active.wish = None
            self.notify()
            return True

    # --- Jobs that do not ---

    def hold(self, held: Held) -> None:
        """Keep the generator of a job that is paused."""
        with self._changed:
            self._held[held.active.row.id] = held

    def held(self, job_id: str) -> Held | None:
        """A job that was paused with its generator, or None."""
        return self._held.get(job_id)

    def release(self, job_id: str) -> Held | None:
        """The job that was held; it is so no more."""
        with self._changed:
            return self._held.pop(job_id, None)

    def clear(self) -> None:
        """Drop all that is held."""
        with self._changed:
            held = list(self._held.values())
            self._held.clear()
        for each in held:
            each.drop()

    def owe(self, active: Active, owed: Owed) -> None:
        """Note what is still to be written of a job; until it is, the job counts as one that runs."""
        with self._changed:
            if self._active.get(active.row.id) is active:
                self._owed[active.row.id] = owed
            self.notify()

    def owed(self, job_id: str) -> Owed | None:
        """What is still to be written of a job, or None."""
        return self._owed.get(job_id)

    def all_owed(self) -> list[Owed]:
        """What is still to be written."""
        with self._changed:
            return list(self._owed.values())

    def remember(self, row: JobRow) -> None:
        """Let those who wait for a job learn how it ended, even if it falls out of the history first."""
        with self._changed:
            self._recent[row.id] = row
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)

    def recall(self, job_id: str) -> JobRow | None:
        """How a job ended here a while ago, or None."""
        return self._recent.get(job_id)

    def forget(self, job_id: str) -> None:
        """A job did not end after all, or nobody is to know it any more."""
        with self._changed:
            self._recent.pop(job_id, None)

    def is_about_to_end(self, job_id: str, generation: int) -> bool:
        """Whether a job that fell out of the history is about to be remembered, or was just now; waits for it."""
        with self._changed:
            if job_id in self._active:
                self.sleep(generation, _PATIENCE_SECONDS)
            return job_id in self._active or job_id in self._recent
