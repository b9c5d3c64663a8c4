"""Which programs do what with which transfer syntaxes: the table of `docs/clients.md`, and what fills it.

A cell is green if one image in that transfer syntax arrives in it, with the same pixel data. `REASONS` say why a cell
is empty; every other one is run by `test_matrix`.
"""

import re
from pathlib import Path

_JPEG = "1.2.840.10008.1.2.4"

SYNTAXES = {
    "explicit": ("explicit LE", "1.2.840.10008.1.2.1"),
    "implicit": ("implicit LE", "1.2.840.10008.1.2"),
    "big-endian": ("explicit BE", "1.2.840.10008.1.2.2"),
    "deflated": ("deflated", "1.2.840.10008.1.2.1.99"),
    "rle": ("RLE", "1.2.840.10008.1.2.5"),
    "jpeg-baseline": ("JPEG .50", f"{_JPEG}.50"),
    "jpeg-extended": ("JPEG .51", f"{_JPEG}.51"),
    "jpeg-lossless": ("JPEG .57", f"{_JPEG}.57"),
    "jpeg-lossless-sv1": ("JPEG .70", f"{_JPEG}.70"),
    "jpeg-ls": ("JPEG-LS .80", f"{_JPEG}.80"),
    "jpeg-ls-near": ("JPEG-LS .81", f"{_JPEG}.81"),
    "jpeg2000": ("JPEG 2000 .90", f"{_JPEG}.90"),
    "jpeg2000-lossy": ("JPEG 2000 .91", f"{_JPEG}.91"),
    "htj2k-lossless": ("HTJ2K .201", f"{_JPEG}.201"),
    "htj2k-rpcl": ("HTJ2K .202", f"{_JPEG}.202"),
    "htj2k": ("HTJ2K .203", f"{_JPEG}.203"),
}
"""Names of the images of `tools/make_samples.py`; what they are called in the table, and their UIDs."""

LETTERS = {
    "explicit": "e",
    "implicit": "i",
    "big-endian": "b",
    "deflated": "d",
    "rle": "r",
    "jpeg-baseline": "y",
    "jpeg-extended": "x",
    "jpeg-lossless-sv1": "s",
    "jpeg-ls": "t",
    "jpeg-ls-near": "u",
    "jpeg2000": "v",
    "jpeg2000-lossy": "w",
}
"""By which DCMTK's programs are told to propose (`-x`) or to prefer (`+x`) a transfer syntax."""

_HTJ2K = ("htj2k-lossless", "htj2k-rpcl", "htj2k")
_NO_HTJ2K = "DCMTK 3.6.7, which Debian's Orthanc has in it too, does not know HTJ2K"
_NO_OPTION = "it has no option to ask for this transfer syntax"

TO_US = {
    "storescu": "DCMTK `storescu`",
    "dcmsend": "DCMTK `dcmsend`",
    "pynetdicom-storescu": "pynetdicom `storescu`",
    "orthanc-sends": "Orthanc 1.10.1, C-STORE",
    "our-send": "`hounsfield send`",
}
FROM_US = {
    "getscu": "DCMTK `getscu`",
    "movescu": "DCMTK `movescu`",
    "storescp": "DCMTK `storescp`, to which we send",
    "pynetdicom-get": "pynetdicom, C-GET",
    "pynetdicom-receives": "pynetdicom, to which we send",
    "orthanc-receives": "Orthanc 1.10.1, to which we send",
    "our-retrieve": "`hounsfield retrieve`, C-MOVE",
}

_DCMTK = ("storescu", "dcmsend", "getscu", "movescu", "storescp", "orthanc-sends", "orthanc-receives")

REASONS: dict[tuple[str, str], str] = {
    **{(client, name): _NO_HTJ2K for name in _HTJ2K for client in _DCMTK},
    **{(client, "jpeg-lossless"): _NO_OPTION for client in ("storescu", "getscu", "movescu", "storescp")},
    **{
        ("dcmsend", name): "it writes native images anew, in explicit LE"
        for name in ("implicit", "big-endian")
    },
    ("getscu", "implicit"): "it proposes explicit LE before implicit LE in every presentation context",
}

SERVICES = (
    ("DCMTK `echoscu`", "C-ECHO", "test_dcmtk_store.py::test_echoscu_is_answered"),
    ("DCMTK `termscu`", "shutting a server down", "test_matrix.py::test_termscu_ends_nothing"),
    ("DCMTK `findscu`", "C-FIND", "test_query.py::test_findscu_finds"),
    (
        "DCMTK `findscu -W`, files of `wlmscpfs`",
        "worklist",
        "test_worklist.py::test_the_examples_of_dcmtk_are_answered_as_its_own_server_does",
    ),
    ("DCMTK `getscu`, `movescu`", "C-GET, C-MOVE", "test_retrieve.py::test_dcmtk_retrieves"),
    (
        "DCMTK `storescu +tls`",
        "TLS, with a certificate",
        "test_dcmtk_store.py::test_storescu_stores_over_tls",
    ),
    (
        "DCMTK `storescu +tla`",
        "TLS, without one",
        "test_dcmtk_store.py::test_an_anonymous_tls_client_is_accepted_if_no_certificate_is_required",
    ),
    (
        "our server",
        "TLS to a modality",
        "test_bad_peers.py::test_modalities_behind_tls_are_spoken_to_encrypted",
    ),
    ("pynetdicom", "C-FIND", "test_query.py::test_studies_are_matched"),
    ("pynetdicom", "C-MOVE, C-GET", "test_retrieve.py::test_what_is_named_is_moved"),
    ("pynetdicom", "C-CANCEL of a C-GET", "test_retrieve.py::test_a_get_can_be_cancelled"),
    (
        "pynetdicom",
        "MPPS, N-CREATE and N-SET",
        "test_performed.py::test_a_step_begins_ends_and_is_then_closed",
    ),
    ("pynetdicom", "storage commitment", "test_commitment.py::test_a_stranger_gets_no_commitment"),
    ("Orthanc 1.10.1", "C-STORE both ways", "test_orthanc.py::test_instances_are_sent_both_ways"),
    (
        "Orthanc 1.10.1",
        "C-FIND and C-MOVE, it of us",
        "test_orthanc.py::test_orthanc_queries_us_and_retrieves",
    ),
    ("Orthanc 1.10.1", "C-FIND and C-MOVE, we of it", "test_orthanc.py::test_we_query_orthanc_and_retrieve"),
    (
        "Orthanc 1.10.1",
        "storage commitment both ways",
        "test_orthanc.py::test_each_commits_itself_to_the_other",
    ),
    ("Orthanc 1.10.1", "peers, both ways", "test_orthanc.py::test_peers_send_both_ways"),
)
"""Programs, services, and the tests in this folder that have them speak."""


def exists(test: str) -> bool:
    """Whether there is such a test."""
    file, _, name = test.partition("::")
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    return re.search(rf"^def {name}\(", text, re.MULTILINE) is not None


def markdown() -> str:
    """The page `docs/clients.md`."""
    return "".join(
        (
            "# Programs that Hounsfield speaks with\n\n",
            "Made by `tools/make_clients.py` from the table that the tests run (`tests/conformance/matrix.py`).\n",
            "\n## Transfer syntaxes\n\n",
            "In each cell with ✓ one image in that transfer syntax goes over and arrives as it was.\n",
            *_grid("To Hounsfield", TO_US),
            *_grid("From Hounsfield", FROM_US),
            *_footnotes(),
            "\n## Services\n\n| program | service | test |\n| --- | --- | --- |\n",
            *(
                f"| {program} | {service} | `{test.partition('::')[2]}` |\n"
                for program, service, test in SERVICES
            ),
            "\ndcm4che's tools are not tested: neither Debian nor PyPI has them, only a repository of Maven.\n",
        )
    )


def _grid(title: str, clients: dict[str, str]) -> list[str]:
    heads = [name for name, _ in SYNTAXES.values()]
    rows = [f"\n| {title} | {' | '.join(heads)} |\n", "| --- |" + " --- |" * len(heads) + "\n"]
    for client, name in clients.items():
        cells = [_cell(client, syntax) for syntax in SYNTAXES]
        rows.append(f"| {name} | {' | '.join(cells)} |\n")
    return rows


def _cell(client: str, syntax: str) -> str:
    reason = REASONS.get((client, syntax))
    return "✓" if reason is None else f"({_reasons().index(reason) + 1})"


def _reasons() -> list[str]:
    return list(dict.fromkeys(REASONS.values()))


def _footnotes() -> list[str]:
    return ["\n", *(f"{number}. {reason}.\n" for number, reason in enumerate(_reasons(), 1))]
