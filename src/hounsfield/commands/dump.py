"""Print the attributes of DICOM files.

hounsfield dump image.dcm
hounsfield dump --json --tag PatientID --tag 0028,0010 *.dcm
"""

import argparse
from pathlib import Path

from hounsfield.commands.arguments import add_json, parse_keys, print_json, say
from hounsfield.dicom import json
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.part10 import read_whole
from hounsfield.dicom.tags import Tag
from hounsfield.dicom.uids import uid_name
from hounsfield.errors import Corrupt

_LONGEST_SHOWN = 120


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--tag", action="append", default=[], help="only this attribute; may be given often")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it. Corrupt if a file is no DICOM."""
    only = list(parse_keys(arguments.tag)) or None
    shown = {}
    for path in arguments.paths:
        try:
            head = read_whole(path.read_bytes())
        except Corrupt as error:
            raise Corrupt(f"{path}: {error}") from error
        if arguments.json:
            meta = {} if only else json.simplified(head.meta_dataset)
            shown[str(path)] = {**meta, **json.simplified(head.dataset, only=only)}
            continue
        if len(arguments.paths) > 1:
            say(f"# {path}")
        if only is None:
            _print(head.meta_dataset, None, "")
        _print(head.dataset, only, "")
        if head.is_truncated:
            say("# the file is cut off here")
    if arguments.json:
        print_json(shown)
    return 0


def _print(dataset: Dataset, only: list[Tag] | None, indent: str) -> None:
    """One attribute a line: tag, VR, name, value."""
    for tag in dataset.elements:
        if only is not None and tag not in only:
            continue
        vr = dataset.vr(tag)
        name = lookup.name(tag, dataset.private_creator(tag))
        head = f"{indent}({tag >> 16:04X},{tag & 0xFFFF:04X}) {vr} {name}"
        if vr == "SQ":
            items = dataset.items(tag)
            say(f"{head}: {len(items)} items")
            for item in items:
                _print(item, None, indent + "    ")
        else:
            say(f"{head}: {_value(dataset, tag, vr)}")


def _value(dataset: Dataset, tag: Tag, vr: str) -> str:
    element = dataset.element(tag)
    text = dataset.text(tag) if element is not None and element.length <= 1 << 16 else None
    if text is None:
        return f"{element.length if element else 0} bytes"
    if vr == "UI" and (meaning := uid_name(text)):
        return f"{text} ({meaning})"
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
