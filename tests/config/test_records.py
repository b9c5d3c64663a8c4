import json
from pathlib import Path

import pytest

from hounsfield.config import records
from hounsfield.config.configuration import Configuration, load
from hounsfield.config.lenient_json import Json
from hounsfield.config.records import MaximumStorageMode, OverwriteMode
from hounsfield.config.sources import Origin
from hounsfield.dicom.levels import Level


def _load(folder: Path, values: dict[str, Json] | None = None) -> Configuration:
    paths: tuple[Path, ...] = ()
    if values is not None:
        (folder / "c.json").write_text(json.dumps(values))
        paths = (Path("c.json"),)
    return load(Origin(paths, {}, folder, secrets_folder=folder / "none"))


def test_without_a_file_everything_is_on_loopback(tmp_path: Path) -> None:
    configuration = _load(tmp_path)
    http, dicom = records.http(configuration), records.dicom_server(configuration)
    assert (http.bind_addresses, http.port) == (("127.0.0.1",), 8042)
    assert (dicom.bind_addresses, dicom.port) == (("127.0.0.1",), 4242)
    assert not http.access.is_remote_access_allowed
    assert records.general(configuration).storage_folder == tmp_path / "HounsfieldStorage"


def test_with_a_file_dicom_listens_everywhere_and_http_does_not(tmp_path: Path) -> None:
    configuration = _load(tmp_path, {})
    assert records.dicom_server(configuration).bind_addresses == ("0.0.0.0",)
    assert records.http(configuration).bind_addresses == ("127.0.0.1",)
    assert records.general(configuration).storage_folder == tmp_path / "OrthancStorage"


def test_remote_access_turns_authentication_on(tmp_path: Path) -> None:
    http = records.http(_load(tmp_path, {"RemoteAccessAllowed": True, "RegisteredUsers": {"a": "hidden"}}))
    assert http.bind_addresses == ("0.0.0.0",)
    assert http.access.is_authentication_enabled
    assert http.access.users == {"a": "hidden"}
    assert "hidden" not in repr(http)


def test_addresses_can_be_chosen(tmp_path: Path) -> None:
    configuration = _load(
        tmp_path, {"HttpBindAddresses": ["127.0.0.2"], "DicomBindAddresses": ["127.0.0.3", "::1"]}
    )
    assert records.http(configuration).bind_addresses == ("127.0.0.2",)
    assert records.dicom_server(configuration).bind_addresses == ("127.0.0.3", "::1")


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        (False, OverwriteMode.NEVER),
        (True, OverwriteMode.ALWAYS),
        ("Never", OverwriteMode.NEVER),
        ("IfChanged", OverwriteMode.IF_CHANGED),
    ],
)
def test_overwriting_has_three_modes_and_two_old_spellings(
    tmp_path: Path, value: Json, mode: OverwriteMode
) -> None:
    assert records.ingest(_load(tmp_path, {"OverwriteInstances": value})).overwrite is mode


def test_an_unknown_storage_mode_deletes_nothing(tmp_path: Path) -> None:
    ingest = records.ingest(_load(tmp_path, {"MaximumStorageMode": "recycle", "MaximumStorageSize": 3}))
    assert ingest.maximum_storage_mode is MaximumStorageMode.REJECT
    assert ingest.maximum_storage_bytes == 3 * 1024 * 1024


def test_zero_is_no_limit(tmp_path: Path) -> None:
    configuration = _load(tmp_path, {"MaximumRequestBodySizeMB": 0, "DicomScpTimeout": 0, "StableAge": 0})
    assert records.http(configuration).maximum_body_bytes is None
    assert records.dicom_server(configuration).timeout_seconds is None
    assert records.ingest(configuration).stable_age_seconds == 60
    assert records.ingest(configuration).maximum_patient_count is None


def test_the_index_is_in_the_storage_folder_unless_it_has_its_own(tmp_path: Path) -> None:
    general = records.general(_load(tmp_path, {"StorageDirectory": "st"}))
    assert general.index_folder == general.storage_folder == tmp_path / "st"
    general = records.general(_load(tmp_path, {"StorageDirectory": "/a", "IndexDirectory": "i"}))
    assert (general.storage_folder, general.index_folder) == (Path("/a"), tmp_path / "i")


def test_a_modality_may_be_an_array_or_an_object(tmp_path: Path) -> None:
    found = records.modalities(
        _load(
            tmp_path,
            {
                "DicomModalities": {
                    "one": ["A", "host", 104],
                    "two": {
                        "AET": "B",
                        "Host": "h",
                        "Port": 105,
                        "AllowStore": False,
                        "AllowStorageCommitment": False,
                    },
                }
            },
        )
    )
    assert (found["one"].ae_title, found["one"].port, found["one"].allow_store) == ("A", 104, True)
    assert not found["two"].allow_store
    assert not found["two"].allow_n_action
    assert not found["two"].allow_event_report


def test_extra_tags_are_grouped_by_level(tmp_path: Path) -> None:
    found = records.tags(
        _load(
            tmp_path,
            {
                "ExtraMainDicomTags": {"Study": ["0008,0090", "ReferringPhysicianName", "Mine"]},
                "Dictionary": {"00e1,c2": ["UI", "Mine", 1, 1, "CREATOR"]},
            },
        )
    )
    assert found.extra_main_dicom_tags == {Level.STUDY: (0x00080090, 0x00E100C2)}


@pytest.mark.parametrize(
    ("values", "secure"),
    [
        ({}, True),
        ({"RemoteAccessAllowed": True, "AuthenticationEnabled": False}, False),
        ({"RemoteAccessAllowed": True, "RegisteredUsers": {"orthanc": "orthanc"}}, False),
        ({"RemoteAccessAllowed": True, "RegisteredUsers": {"orthanc": "better"}}, True),
    ],
)
def test_well_known_accounts_and_open_doors_are_not_secure(
    tmp_path: Path, values: dict[str, Json], secure: bool
) -> None:
    assert records.is_http_secure(_load(tmp_path, values)) is secure


def test_only_the_switches_that_were_set_are_handed_on(tmp_path: Path) -> None:
    dicom = records.dicom_server(_load(tmp_path, {"RleTransferSyntaxAccepted": False}))
    assert dicom.transfer_syntax_switches == {"RleTransferSyntaxAccepted": False}
