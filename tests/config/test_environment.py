from pathlib import Path

import pytest

from hounsfield.config.environment import apply, secrets, settings
from hounsfield.config.lenient_json import Json
from hounsfield.config.options import OPTIONS


def _applied(variables: dict[str, str], values: dict[str, Json] | None = None) -> dict[str, Json]:
    result = values or {}
    apply(result, settings(variables))
    return result


@pytest.mark.parametrize(
    ("variable", "option"),
    [
        ("STABLE_AGE", "StableAge"),
        ("DICOM_AET", "DicomAet"),
        ("STORE_MD5_FOR_ATTACHMENTS", "StoreMD5ForAttachments"),
        ("DICOM_ALWAYS_ALLOW_FIND", "DicomAlwaysAllowFind"),
        ("SSL_ENABLED", "SslEnabled"),
        ("LOAD_PRIVATE_DICTIONARY", "LoadPrivateDictionary"),
        ("HTTPS_CA_CERTIFICATES", "HttpsCACertificates"),
        ("CASE_SENSITIVE_PN", "CaseSensitivePN"),
        ("POSTGRESQL", "PostgreSQL"),
        ("SOMETHING_NEW", "SomethingNew"),
    ],
)
def test_a_variable_finds_its_option(variable: str, option: str) -> None:
    assert list(_applied({f"ORTHANC__{variable}": "true"})) == [option]


def test_no_two_options_share_a_variable() -> None:
    assert len({name.casefold() for name in OPTIONS}) == len(OPTIONS)


def test_values_are_json_where_they_can_be() -> None:
    assert _applied(
        {
            "ORTHANC__STABLE_AGE": "5",
            "ORTHANC__READ_ONLY": "true",
            "ORTHANC__REGISTERED_USERS": '{"demo": "demo"}',
            "ORTHANC__LOCALE": "en_US.UTF-8",
        }
    ) == {"StableAge": 5, "ReadOnly": True, "RegisteredUsers": {"demo": "demo"}, "Locale": "en_US.UTF-8"}


def test_a_string_option_takes_its_text_as_it_is() -> None:
    assert _applied({"ORTHANC__DICOM_AET": "12345", "ORTHANC__NAME": '"quoted"'}) == {
        "DicomAet": "12345",
        "Name": "quoted",
    }


def test_members_of_an_object_are_set_after_the_object() -> None:
    assert _applied(
        {"ORTHANC__DICOM_WEB__ROOT": "/x/", "ORTHANC__DICOM_WEB": '{"Root": "/y/", "Enable": true}'}
    ) == {"DicomWeb": {"Root": "/x/", "Enable": True}}


def test_a_member_finds_the_spelling_of_the_file() -> None:
    values: dict[str, Json] = {"PostgreSQL": {"EnableSSL": False}}
    assert _applied({"ORTHANC__POSTGRE_SQL__ENABLE_SSL": "true"}, values) == {
        "PostgreSQL": {"EnableSSL": True}
    }


def test_our_prefix_wins_over_orthancs() -> None:
    assert _applied({"HOUNSFIELD__STABLE_AGE": "2", "ORTHANC__STABLE_AGE": "1"}) == {"StableAge": 2}


def test_other_variables_are_left_alone() -> None:
    assert _applied({"PATH": "/bin", "ORTHANC_JSON": "{}", "ORTHANC__": "1", "ORTHANC__A____B": "1"}) == {}


def test_a_secret_loses_its_end_of_line(tmp_path: Path) -> None:
    (tmp_path / "ORTHANC__NAME").write_text("secret name \r\n")
    (tmp_path / "other").write_bytes(b"\xff")
    assert secrets(tmp_path) == {"ORTHANC__NAME": "secret name "}
    assert secrets(tmp_path / "missing") == {}
