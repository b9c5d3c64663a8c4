"""C-ECHO. PS3.4 Annex A."""

from hounsfield.dicom.uids import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from hounsfield.net.dimse import CommandField, Status
from hounsfield.net.messages import Operation, Request, Response, Responses, Service

VERIFICATION_SOP_CLASS_UID = "1.2.840.10008.1.1"

PREFERRED_TRANSFER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""For services other than storage, whose data sets are always our own."""


def echo(request: Request) -> Responses:  # noqa: ARG001  # One request is like the other.
    """Say that we are there."""
    yield Response(Status.SUCCESS)


def verification_service() -> Service:
    """The service for the Verification SOP Class."""
    return Service(
        {CommandField.C_ECHO_RQ: Operation.ECHO},
        echo,
        PREFERRED_TRANSFER_SYNTAXES.__contains__,
        PREFERRED_TRANSFER_SYNTAXES,
    )
