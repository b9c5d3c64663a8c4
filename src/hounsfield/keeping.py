"""The commands that look after an archive: `hounsfield verify` and `hounsfield rebuild`."""

import sys
import time
from typing import Final

import orjson

from hounsfield.config.configuration import Configuration
from hounsfield.config.flags import Upkeep
from hounsfield.ingest.settling import Settling
from hounsfield.opening import opened, opened_to_read
from hounsfield.server import make_intake
from hounsfield.store.files import FolderFiles
from hounsfield.upkeep.findings import Finding, Progress
from hounsfield.upkeep.rebuild import Rebuilt, rebuild
from hounsfield.upkeep.verify import verify

DAMAGED: Final = 1
_BAR = 40
_REDRAW_SECONDS = 0.2


def run_verify(configuration: Configuration, command: Upkeep) -> int:
    """Compare the index with the files, and tell what is wrong; 0 if nothing is, `DAMAGED` otherwise.

    Raises
    ------
    ArchiveError
        If there is no archive, or it cannot be read.
    """
    found: list[Finding] = []
    last = Progress(0, 0, 0, 0)
    bar = _Bar()
    with opened_to_read(configuration) as (index, files):
        steps = verify(index, files, reads_content=not command.is_quick, grace_seconds=command.grace_seconds)
        for step in steps:
            if isinstance(step, Progress):
                last = step
                bar.draw(
                    step.bytes_read + step.rows, step.total_bytes + step.total_rows, f"{step.rows} files"
                )
            else:
                found.append(step)
                if not command.is_json:
                    bar.clear()
                    _say(f"{step.damage.value}: {step.where}  {step.details}")
    bar.clear()
    if command.is_json:
        _say(_verified(found, last))
    else:
        _say(
            f"{last.rows} files in the index, {len(found)} damages"
            if found
            else f"{last.rows} files, all sound"
        )
    return DAMAGED if found else 0


def run_rebuild(configuration: Configuration, command: Upkeep) -> int:
    """Index every file that the index does not know; 0, or `DAMAGED` if some could not be indexed.

    Raises
    ------
    ArchiveError
        If another server has the archive.
    """
    state, bar = Rebuilt(), _Bar()
    with opened(configuration) as found:
        intake = make_intake(configuration, found.archive, Settling(found.archive), found.area.spool)
        files = FolderFiles(found.root)
        total = sum(1 for _ in files.sizes()) if bar.is_shown else 0
        for state in rebuild(intake, files):
            bar.draw(state.files, total, f"{state.indexed} indexed")
    bar.clear()
    if command.is_json:
        counts = {"Files": state.files, "Known": state.known, "Indexed": state.indexed}
        _say(orjson.dumps({**counts, "Doubled": state.doubled, "Left": state.left}).decode())
    else:
        _say(
            f"{state.files} files: {state.indexed} indexed, {state.known} were known, {state.doubled} hold an instance"
            f" that another file holds, {state.left} cannot be indexed"
        )
    return DAMAGED if state.left else 0


def _verified(found: list[Finding], last: Progress) -> str:
    damages = [{"Damage": each.damage.value, "Where": each.where, "Details": each.details} for each in found]
    return orjson.dumps(
        {"Sound": not found, "Files": last.rows, "Bytes": last.bytes_read, "Damages": damages},
        option=orjson.OPT_INDENT_2,
    ).decode()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class _Bar:
    """A progress bar on the standard error, if a person looks at it."""

    def __init__(self) -> None:
        self.is_shown = sys.stderr.isatty()
        self._drawn = 0.0

    def draw(self, done: int, total: int, text: str) -> None:
        """Show how far it came."""
        now = time.monotonic()
        if not self.is_shown or now - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = now
        filled = _BAR * done // max(total, done, 1)
        sys.stderr.write(
            f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {100 * done // max(total, done, 1)} %  {text} "
        )
        sys.stderr.flush()

    def clear(self) -> None:
        """Take it away."""
        if self.is_shown and self._drawn:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
