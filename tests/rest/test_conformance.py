"""The DICOM Conformance Statement says what the server does."""

from pathlib import Path

from tests.servers import running

_STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2 "


def test_the_statement_lists_what_this_server_accepts(tmp_path: Path) -> None:
    with running(tmp_path, {"DicomAet": "CONFORM"}) as server:
        status, answer = server.request("GET", "/tools/dicom-conformance")
        text = answer.decode()
        assert (status, len(text) > 1000) == (200, True)
        for expected in (_CT_STORAGE, "CT Image Storage", _STUDY_ROOT_FIND, "CONFORM", "read as Latin1"):
            assert expected in text, expected
        assert "SOP classes that are not listed are refused" in text
        assert "1.2.840.10008.1.2.4.90" in text
        server.request("PUT", "/tools/accepted-transfer-syntaxes", b'["1.2.840.10008.1.2"]')
        server.request("PUT", "/tools/unknown-sop-class-accepted", b"1")
        changed = server.request("GET", "/tools/dicom-conformance")[1].decode()
        assert "1.2.840.10008.1.2.4.90" not in changed
        assert "SOP classes that are not listed are accepted" in changed
