"""See whether a DICOM program answers: C-ECHO.

hounsfield echo pacs.example:104 --aet PACS
"""

import argparse
import time

from hounsfield.commands.arguments import add_json, add_node, modality_of, options_of, print_json, say
from hounsfield.net.scu import VERIFICATION_SOP_CLASS_UID, Proposal
from hounsfield.remote.dialing import associated, context_of, dimse_failure
from hounsfield.remote.finder import TRANSFER_SYNTAXES


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_node(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it. PeerFailure if there is no good answer."""
    modality, options = modality_of(arguments), options_of(arguments)
    began = time.monotonic()
    proposal = Proposal(options.ae_title, [(VERIFICATION_SOP_CLASS_UID, TRANSFER_SYNTAXES)])
    with associated(modality, options, proposal) as requester:
        context_of(requester, VERIFICATION_SOP_CLASS_UID)
        status = requester.echo()
        agreement = requester.agreement
    if status:
        raise dimse_failure("C-ECHO", modality.ae_title, status)
    milliseconds = round(1000 * (time.monotonic() - began), 1)
    program = agreement.peer_implementation_version_name or agreement.peer_implementation_class_uid
    if arguments.json:
        print_json({"Status": status, "Milliseconds": milliseconds, "Implementation": program})
    else:
        say(f"{modality.ae_title} at {arguments.node} answers ({program}, {milliseconds:g} ms)")
    return 0
