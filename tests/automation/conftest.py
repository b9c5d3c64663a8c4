"""Real servers that run scripts."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.servers import RunningServer, start

_PATIENCE_SECONDS = 20


@dataclass(slots=True)
class ScriptedServer:
    """A server, and what one asks of it again and again."""

    server: RunningServer
    folder: Path

    def run(self, script: str) -> str:
        """What a script prints."""
        status, answer = self.server.request("POST", "/tools/execute-script", script.encode())
        assert status == 200, answer
        return answer.decode()

    def failure(self, script: str) -> tuple[int, dict[str, Any]]:
        """The status and the error of a script."""
        status, answer = self.server.request("POST", "/tools/execute-script", script.encode())
        return status, json.loads(answer) if answer else {}

    def seen(self) -> list[str]:
        """The lines that callbacks wrote by `note`."""
        notes = self.folder / "notes"
        return notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []

    def wait_for(self, is_there: Callable[[list[str]], bool]) -> list[str]:
        """The lines that callbacks wrote, once they are what is wanted."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_there(self.seen()):
            assert time.monotonic() < deadline, (self.seen(), self.server.log.read_text()[-3000:])
            time.sleep(0.02)
        return self.seen()

    def wait_for_line(self, beginning: str) -> str:
        """The first line that begins so, once it is there."""
        lines = self.wait_for(lambda lines: any(line.startswith(beginning) for line in lines))
        return next(line for line in lines if line.startswith(beginning))


_NOTE = """
function note(...)
  local words = {{}}
  for i = 1, select('#', ...) do words[i] = tostring((select(i, ...))) end
  local file = io.open('{path}', 'a')
  file:write(table.concat(words, ' ') .. '\\n')
  file:close()
end
"""

StartScripted = Callable[..., ScriptedServer]


@pytest.fixture
def start_scripted(tmp_path: Path) -> Iterator[StartScripted]:
    """Starts a server with a script, and any options."""
    started: list[RunningServer] = []

    def run(script: str = "", **options: object) -> ScriptedServer:
        path = tmp_path / "script.lua"
        path.write_text(_NOTE.format(path=tmp_path / "notes") + script)
        chosen = {"LuaScripts": ["script.lua"], "ExecuteLuaEnabled": True, "StableAge": 1, **options}
        server = start(tmp_path, chosen)
        started.append(server)
        return ScriptedServer(server, tmp_path)

    yield run
    for server in started:
        if server.process.poll() is None:
            server.stop()
