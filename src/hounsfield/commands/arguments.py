"""What the commands have in common: the program to speak with, keys of queries, JSON, and a line of progress."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.keys import Keys, KeyValue, simple_names
from hounsfield.dicom.tags import Tag
from hounsfield.errors import BadRequest
from hounsfield.net.tls import client_context
from hounsfield.remote.dialing import ScuOptions
from hounsfield.remote.modality import Modality

_MOST_INDEXES = 64


def add_node(parser: argparse.ArgumentParser) -> None:
    """The arguments that say whom to speak with, and as whom."""
    parser.add_argument("node", metavar="HOST:PORT", help="where the other program listens")
    parser.add_argument("--aet", default="ANY-SCP", help="its AE title (default: %(default)s)")
    parser.add_argument("--calling", default="HOUNSFIELD", help="our AE title (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait (default: %(default)g)")
    parser.add_argument("--tls", action="store_true", help="speak DICOM over TLS")
    parser.add_argument("--ca", type=Path, help="PEM file of the authorities to trust, with --tls")
    parser.add_argument("--cert", type=Path, help="PEM file of our certificate, with --tls")
    parser.add_argument("--key", type=Path, help="PEM file of our private key, with --tls")


def add_json(parser: argparse.ArgumentParser) -> None:
    """The argument for output that programs read."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def modality_of(arguments: argparse.Namespace, manufacturer: str = "Generic") -> Modality:
    """The other program.

    Raises
    ------
    BadRequest
        If the address is none.
    """
    host, _, port = str(arguments.node).rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise BadRequest(f"Not an address: {arguments.node!r}; it should be like pacs.example:104")
    return Modality(
        "peer",
        arguments.aet,
        host.strip("[]"),
        int(port),
        manufacturer,
        use_tls=arguments.tls,
    )


def options_of(arguments: argparse.Namespace) -> ScuOptions:
    """Ourselves."""
    tls = None
    if arguments.tls:
        tls = client_context(arguments.cert, arguments.key, (arguments.ca,) if arguments.ca else ())
    return ScuOptions(ae_title=arguments.calling, timeout_seconds=arguments.timeout, tls=tls)


def parse_keys(texts: Sequence[str]) -> dict[Tag, KeyValue]:
    """Keys given as `PatientID=1`, `0010,0010=A*`, `StudyDate` or `ScheduledProcedureStepSequence.Modality=CT`.

    Raises
    ------
    BadRequest
        If a name is in no dictionary.

    >>> parse_keys(["PatientID=1", "ScheduledProcedureStepSequence.Modality=CT"])
    {1048608: '1', 4194560: [{524384: 'CT'}]}
    """
    found: dict[Tag, KeyValue] = {}
    for text in texts:
        path, _, value = text.partition("=")
        names = path.split(".")
        if len(names) > _MOST_INDEXES:
            raise BadRequest(f"Too deep: {path}")
        _put(found, [_tag(name) for name in names], value)
    return found


def _tag(name: str) -> Tag:
    try:
        return lookup.parse_tag(name.strip())
    except lookup.UnknownTag as error:
        raise BadRequest(f"Unknown attribute: {name!r}") from error


def _put(keys: dict[Tag, KeyValue], path: list[Tag], value: str) -> None:
    tag, *rest = path
    if not rest:
        keys[tag] = [] if lookup.vr(tag) == "SQ" and not value else value
        return
    items = keys.get(tag)
    item = dict(items[0]) if items and not isinstance(items, str) else {}
    _put(item, rest, value)
    keys[tag] = [item]


def print_json(value: object) -> None:
    """Print JSON, indented."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()


def print_answers(answers: Iterable[Keys], *, as_json: bool) -> None:
    """Print data sets, as JSON or one attribute a line."""
    if as_json:
        print_json([simple_names(answer) for answer in answers])
        return
    for number, answer in enumerate(answers, 1):
        say(f"# {number}")
        _print_item(answer, "")


def _print_item(keys: Keys, indent: str) -> None:
    for tag, value in sorted(keys.items()):
        name = f"{indent}({tag >> 16:04X},{tag & 0xFFFF:04X}) {lookup.name(tag)}"
        if isinstance(value, str):
            say(f"{name}: {value}")
            continue
        say(name)
        for item in value:
            _print_item(item, indent + "    ")


def say(line: str) -> None:
    """Print a line; what a terminal might take for a command to itself is shown as `?`."""
    shown = "".join(character if character.isprintable() else "?" for character in line)
    sys.stdout.write(
        shown.encode(sys.stdout.encoding or "utf-8", "replace").decode(sys.stdout.encoding or "utf-8")
    )
    sys.stdout.write("\n")


class Progress:
    """A line on a terminal that tells how far we are; nothing where nobody looks."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_shown = sys.stderr.isatty()

    def show(self, done: int, total: int) -> None:
        """So many of so many."""
        if self._is_shown:
            sys.stderr.write(f"\r{self._what}: {done} of {total}")
            sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._is_shown:
            sys.stderr.write("\n")
