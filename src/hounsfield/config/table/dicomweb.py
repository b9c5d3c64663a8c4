"""Options of DICOMweb."""

import json

from hounsfield.config.option import Kind, Option, Section

DICOMWEB_MEMBERS: tuple[Option, ...] = (
    Option("Enable", Kind.BOOLEAN, True, "answer searches (QIDO-RS)"),
    Option("Root", Kind.TEXT, "/dicom-web/", "what the addresses begin with"),
    Option("PublicRoot", Kind.TEXT, "", "the same in the addresses that answers hold; empty for `Root`"),
    Option("Host", Kind.TEXT, "", "host and port in these addresses; empty for those of the request"),
    Option("Ssl", Kind.BOOLEAN, False, "write them with `https` where no header of a proxy decides"),
    Option(
        "QidoCaseSensitive",
        Kind.BOOLEAN,
        None,
        "whether case matters in searches; null for `CaseSensitivePN`",
    ),
)


def _described(member: Option) -> str:
    return f"`{member.name}` ({json.dumps(member.default)}): {member.meaning}"


DICOMWEB = Section(
    "DICOMweb",
    (
        Option(
            "DicomWeb",
            Kind.OBJECT,
            {},
            "DICOMweb, with the members and defaults of Orthanc's plugin; those of services that are not there yet "
            "have no effect. " + "; ".join(map(_described, DICOMWEB_MEMBERS)) + ".",
        ),
    ),
)
