#!/usr/bin/env python3
"""Set Hounsfield up in `.venv` and start it: `python3 run.py`. Test it: `python3 run.py test`.

Needs nothing but Python 3.11 or newer, on Linux, macOS and Windows, and no rights of an administrator. The first run
takes a minute and needs the network; later ones start at once, until the dependencies or the web pages change.

    python3 run.py [serve] [OPTION]... [CONFIGURATION]...   start the server; see `python3 run.py --help`
    python3 run.py test [OPTION]...                         run the tests; options go to pytest
    python3 run.py lint                                     run the formatter, linters and type checker
    python3 run.py setup                                    only set up
"""

import hashlib
import os
import subprocess
import sys

# Old Pythons must still be able to read this file, to say that they are too old.
if sys.version_info < (3, 11):
    sys.exit(
        "Hounsfield needs Python 3.11 or newer, and this is %d.%d: install one and start `python3.11 run.py`."
        % sys.version_info[:2]
    )

from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOG = VENV / "setup.log"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
BUILT_PAGES = ROOT / "src" / "hounsfield" / "web" / "static" / "index.html"
LINTERS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy", "src", "tests"),
    ("lint-imports",),
)


def main(arguments: list[str]) -> int:
    """Set up what is missing, then do what was asked for."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("serve", [])
    if command in ("test", "lint"):
        set_up(groups=("dev",))
        return run_tests(rest) if command == "test" else run_linters()
    set_up(groups=())
    if command == "setup":
        return 0
    return replace_by([str(PYTHON), "-m", "hounsfield", *arguments])


def run_tests(options: list[str]) -> int:
    """Every test, on all the processors, by half as many workers more: tests wait a good part of their time."""
    processors = os.cpu_count() or 1
    workers = str(processors + (processors + 1) // 2)
    parallel = [] if any(option.startswith("-n") for option in options) else ["-n", workers]
    return replace_by([str(PYTHON), "-m", "pytest", *parallel, *options])


def run_linters() -> int:
    """Every linter, even after one has failed."""
    failed = []
    for linter in LINTERS:
        say(" ".join(linter))
        if subprocess.run([str(BIN / linter[0]), *linter[1:]], cwd=ROOT, check=False).returncode:
            failed.append(linter[0])
    say("failed: " + ", ".join(failed) if failed else "all linters are content")
    return 1 if failed else 0


def replace_by(command: list[str]) -> int:
    """Become another program, so that signals reach it; Windows can only wait for it."""
    if os.name != "nt":
        sys.stdout.flush()
        os.execv(command[0], command)
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 0


def set_up(groups: tuple[str, ...]) -> None:
    """Make `.venv` and install the project in it, unless that was done for the same sources."""
    wanted = fingerprint()
    stamps = [stamp(group) for group in ("", *groups)]
    is_current = all(path.is_file() and path.read_text() == wanted for path in stamps)
    if is_current and is_working() and has_pages():
        return
    make_venv()
    say("installing (the first time takes a minute)")
    started = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    pip([*started, "--upgrade", "pip>=25.1"])  # The first one that knows --group.
    pip([*started, "--editable", ".", *(f"--group={group}" for group in groups)])
    if not has_pages():
        sys.exit("The web pages were not built; see " + str(LOG))
    # pip compiles what it copies, and this is not copied. Where Python may not write bytecode
    # (PYTHONDONTWRITEBYTECODE), every start would compile everything.
    subprocess.run([str(PYTHON), "-m", "compileall", "-q", str(ROOT / "src")], check=False)
    for path in stamps:
        path.write_text(wanted)


def fingerprint() -> str:
    """What the installation depends on: the dependencies and the sources of the web pages."""
    digest = hashlib.sha256()
    for path in (ROOT / "pyproject.toml", ROOT / "tools" / "build_hook.py", *page_sources()):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def page_sources() -> list[Path]:
    """The sources of the web pages, without what npm puts beside them."""
    found = []
    for folder, folders, names in os.walk(ROOT / "web"):
        folders[:] = sorted(set(folders) - {"node_modules", "dist"})
        found += [Path(folder) / name for name in sorted(names)]
    return found


def has_pages() -> bool:
    """Whether the pages are built, if there is anything to build."""
    return BUILT_PAGES.is_file() or not (ROOT / "web" / "package.json").is_file()


def stamp(group: str) -> Path:
    """The file that says for which sources an installation was made."""
    return VENV / f"installed-{group or 'main'}"


def is_working() -> bool:
    """Whether the Python of `.venv` starts: it does not after the system's one was replaced or the folder moved."""
    if not PYTHON.is_file():
        return False
    check = [str(PYTHON), "-c", "import hounsfield"]
    return (
        subprocess.run(check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
        == 0
    )


def make_venv() -> None:
    """Make `.venv`, or make it again when its Python no longer starts."""
    if has_pip():
        return
    try:
        import ensurepip  # noqa: F401 - Debian packs it apart from venv.
        import venv
    except ImportError:
        sys.exit(
            "Python's venv module is missing: on Debian and Ubuntu, `sudo apt install python3-venv`; then start again."
        )
    say(f"making {VENV}")
    try:
        venv.create(VENV, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Cannot make {VENV}: {error}")


def has_pip() -> bool:
    """Whether pip works in `.venv`."""
    if not PYTHON.is_file():
        return False
    check = [str(PYTHON), "-m", "pip", "--version"]
    return (
        subprocess.run(check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
        == 0
    )


def pip(command: list[str]) -> None:
    """Run pip; what it says goes to a file, and a failure is told in one line."""
    with LOG.open("wb") as log:
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
    if done.returncode:
        text = LOG.read_text(encoding="utf-8", errors="replace")
        signs = (
            "NewConnectionError",
            "NameResolutionError",
            "Network is unreachable",
            "ConnectTimeout",
            "ENOTFOUND",
        )
        offline = any(sign in text for sign in signs)
        errors = [line.strip() for line in text.splitlines() if "error" in line.lower()]
        why = "no network, or a proxy is missing (HTTPS_PROXY)" if offline else (errors or ["pip failed"])[-1]
        sys.exit(f"The installation did not work: {why}\nDetails: {LOG}")


def say(text: str) -> None:
    """One line for the person in front, apart from what the commands print."""
    sys.stderr.write(f"run.py: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
