"""The files that jobs made, as long as they are kept."""

import threading
from collections import OrderedDict
from collections.abc import Iterable

from hounsfield.errors import NotFound
from hounsfield.jobs.kinds import JobOutput, JobRun


class Shelf:
    """Keeps the outputs of the last jobs that made any."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._runs: OrderedDict[str, JobRun] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, run: JobRun) -> None:
        """Keep the outputs of a job; those of the oldest go."""
        if not run.outputs:
            return
        with self._lock:
            self._runs[run.id] = run
            old = [self._runs.popitem(last=False)[1] for _ in range(len(self._runs) - self._kept)]
        for each in old:
            each.release()

    def get(self, job_id: str, name: str) -> JobOutput:
        """A file that a job made.

        Raises
        ------
        NotFound
            If there is none.
        """
        with self._lock:
            run = self._runs.get(job_id)
            # Another server may have deleted the file.
            if run is None or name not in run.outputs or not run.outputs[name].file.path.exists():
                raise NotFound(f"Job has no such output: {name}")
            return run.outputs[name]

    def delete(self, job_id: str, name: str) -> None:
        """Delete a file that a job made. Errors as of `get`."""
        with self._lock:
            run = self._runs.get(job_id)
            output = run.outputs.pop(name, None) if run is not None else None
        if output is None:
            raise NotFound(f"Job has no such output: {name}")
        output.file.close()

    def forget(self, job_ids: Iterable[str]) -> None:
        """Delete the outputs of jobs that are not remembered any more."""
        for job_id in job_ids:
            with self._lock:
                run = self._runs.pop(job_id, None)
            if run is not None:
                run.release()

    def clear(self) -> None:
        """Delete everything."""
        self.forget(list(self._runs))
