"""What jobs made, on whichever server: each keeps it in its spool, and the row of the job tells the others where."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from hounsfield.errors import NotFound
from hounsfield.index.jobs import JobRow
from hounsfield.jobs.kinds import JobOutput, OutputFile

_KEY = "Outputs"
SpoolOf = Callable[[str], Path]
"""Where the server of a name keeps its spool, as seen from here."""


@dataclass(frozen=True, slots=True)
class SharedOutputs:
    """What servers that share the storage made; `server` is this one."""

    server: str
    spool_of: SpoolOf

    def noted(self, row: JobRow, outputs: dict[str, JobOutput]) -> JobRow:
        """The row of a job that made something here."""
        if not outputs:
            return row
        state = orjson.loads(row.state_json)
        state[_KEY] = {
            name: [self.server, each.file.path.name, each.mime_type, each.filename]
            for name, each in outputs.items()
        }
        return replace(row, state_json=orjson.dumps(state).decode())

    def find(self, row: JobRow, name: str) -> OutputFile | None:
        """What a job made on another server; None if it did not.

        Raises
        ------
        NotFound
            If that server does not keep it any more, or keeps it where it cannot be read from here.
        """
        noted = orjson.loads(row.state_json).get(_KEY, {}).get(name)
        if noted is None or noted[0] == self.server:
            return None
        server, file, mime_type, filename = noted
        path = self.spool_of(server) / Path(file).name
        try:
            return OutputFile(path, path.stat().st_size, mime_type, filename)
        except OSError as cause:
            raise NotFound(
                f"The job ran on the server {server}, which keeps its output no more, or in a folder of its own"
            ) from cause

    def all(self, row: JobRow) -> Iterator[OutputFile]:
        """All that a job made on another server, as far as it is there."""
        for name in orjson.loads(row.state_json).get(_KEY, {}):
            try:
                found = self.find(row, name)
            except NotFound:
                continue
            if found is not None:
                yield found
