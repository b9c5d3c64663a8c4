"""Query the modality worklist of a DICOM program: C-FIND.

hounsfield worklist ris.example:104 PatientName ScheduledProcedureStepSequence.Modality=CT
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
from hounsfield.dicom.tags import PATIENT_ID
from hounsfield.remote.finder import find_worklist


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_node(parser)
    parser.add_argument("keys", nargs="*", metavar="KEY[=VALUE]", help="what to match, or only to tell")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it. PeerFailure if there is no good answer."""
    keys = {PATIENT_ID: "", **parse_keys(arguments.keys)}
    answers = find_worklist(modality_of(arguments), options_of(arguments), keys)
    print_answers(answers, as_json=arguments.json)
    return 0
