"""The door as an extension: all its routes."""

from hounsfield.dicomweb import qido
from hounsfield.dicomweb.service import DicomWeb, DicomWebOptions
from hounsfield.host import Host


def extend(host: Host, options: DicomWebOptions) -> None:
    """Add DICOMweb to a host, unless it is turned off."""
    if options.is_enabled:
        intake = host.intake.options
        host.routes.extend(qido.routes(DicomWeb(host.archive, options, intake.settings, intake.main_tags)))
