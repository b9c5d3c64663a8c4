"""What is needed later, if at all, is not loaded to start: a server is there at once, and so are the commands."""

import subprocess
import sys

import pytest

# Codecs, drivers and parsers of which most servers need none, and no server while it starts.
_OF_SERVERS = {
    "PIL",
    "cryptography",
    "cv2",
    "imagecodecs",
    "openjpeg",
    "psycopg",
    "pydicom",
    "pylibjpeg",
    "lxml",
    "jpeg_ls",
}
_OF_COMMANDS = _OF_SERVERS | {"asyncio", "lupa", "numpy", "sqlite3", "uvicorn"}


def _loaded(code: str) -> set[str]:
    """The packages that are loaded once some lines were run."""
    shown = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.check_output([sys.executable, "-c", shown], text=True).split())


def test_a_server_starts_without_what_it_may_never_need() -> None:
    assert not _loaded("import hounsfield.cli, hounsfield.server") & _OF_SERVERS


def test_the_version_is_told_without_a_server() -> None:
    assert not _loaded("import hounsfield.cli") & _OF_COMMANDS


@pytest.mark.parametrize("command", ["dump", "echo", "find", "send", "worklist"])
def test_a_command_starts_without_a_server(command: str) -> None:
    assert not _loaded(f"import hounsfield.cli, hounsfield.commands.{command}") & _OF_COMMANDS
