"""Query a DICOM program about patients, studies, series or instances: C-FIND.

hounsfield find pacs.example:104 PatientName='DOE*' StudyDate=20260101- ModalitiesInStudy
"""

import argparse

from hounsfield.commands.arguments import (
    add_json,
    add_node,
    modality_of,
    options_of,
    parse_keys,
    print_answers,
)
from hounsfield.dicom.levels import Level
from hounsfield.remote.finder import IDENTIFYING, find

LEVELS = {level.word.lower(): level for level in Level}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_node(parser)
    parser.add_argument("keys", nargs="*", metavar="KEY[=VALUE]", help="what to match, or only to tell")
    parser.add_argument("--level", choices=LEVELS, default="study", help="default: %(default)s")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it. PeerFailure if there is no good answer."""
    level = LEVELS[arguments.level]
    keys = {**dict.fromkeys(IDENTIFYING[level], ""), **parse_keys(arguments.keys)}
    answers = find(modality_of(arguments), options_of(arguments), level, keys)
    print_answers(answers, as_json=arguments.json)
    return 0
