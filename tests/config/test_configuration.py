import json
from pathlib import Path

import pytest

from hounsfield.config.configuration import Configuration, has_changed, load
from hounsfield.config.lenient_json import Json
from hounsfield.config.postgres import is_in_postgres
from hounsfield.config.refusal import ConfigurationRefused
from hounsfield.config.sources import Origin


def _load(folder: Path, values: dict[str, Json]) -> Configuration:
    (folder / "c.json").write_text(json.dumps(values))
    return load(Origin((Path("c.json"),), {}, folder, secrets_folder=folder / "none"))


def _codes(folder: Path, values: dict[str, Json]) -> list[int]:
    with pytest.raises(ConfigurationRefused) as refused:
        _load(folder, values)
    return [refusal.code for refusal in refused.value.refusals]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"HttpPort": "8042"}, 5),
        ({"HttpPort": 1.0}, 5),
        ({"HttpPort": True}, 5),
        ({"StableAge": None}, 5),
        ({"SslEnabled": 1}, 5),
        ({"Name": 5}, 5),
        ({"StableAge": -1}, 3),
        ({"HttpPort": 70000}, 3),
        ({"Plugins": "a.so"}, 15),
        ({"DicomModalities": []}, 15),
        ({"HttpPort": 4242}, 2003),
        ({"HttpBindAddresses": ["nowhere"]}, 2003),
        ({"DicomBindAddresses": ["300.1.1.1"]}, 2004),
        ({"DicomAet": "A" * 17}, 2009),
        ({"DicomAet": ""}, 15),
        ({"DicomAet": "   "}, 15),
        ({"DicomAet": "A\\B"}, 15),
        ({"DefaultEncoding": "Nope"}, 3),
        ({"IngestTranscoding": ""}, 3),
        ({"IngestTranscoding": "JPEG"}, 3),
        ({"DicomScuPreferredTransferSyntax": "x"}, 3),
        ({"StorageAccessOnFind": "always"}, 3),
        ({"OverwriteInstances": "always"}, 3),
        ({"BuiltinDecoderTranscoderOrder": "x"}, 3),
        ({"DicomDefaultRetrieveMethod": "x"}, 3),
        ({"DeidentifyLogsDicomVersion": "x"}, 3),
        ({"Warnings": {"W999": True}}, 15),
        ({"UserMetadata": {"a": 1023}}, 3),
        ({"UserMetadata": {"a": 65536}}, 3),
        ({"UserMetadata": {"a": 1024, "b": 1024}}, 3),
        ({"UserMetadata": {"RemoteAET": 1024}}, 8),
        ({"UserContentType": {"a": [1024]}}, 5),
        ({"ExtraMainDicomTags": {"Study": ["NoSuchTag"]}}, 27),
        ({"ExtraMainDicomTags": {"Visit": []}}, 3),
        ({"Dictionary": {"nope": ["UI", "A"]}}, 15),
        ({"Dictionary": {"00e1,c2": ["XX", "A"]}}, 3),
        ({"Dictionary": {"0010,0010": ["PN", "A"]}}, 2042),
        ({"MaximumPduLength": 4095}, 3),
        ({"MaximumPduLength": 131073}, 3),
        ({"DicomLossyTranscodingQuality": 0}, 3),
        ({"StorageLoaderThreadsCount": 0}, 3),
        ({"TranscoderThreadsCount": 0}, 3),
        ({"DicomParserThreadsCount": 0}, 3),
        ({"DicomThreadsCount": 0}, 3),
        ({"HttpThreadsCount": 0}, 3),
        ({"MediaArchiveSize": 0}, 3),
        ({"QueryRetrieveSize": 0}, 3),
        ({"DicomModalities": {"a": ["A", "host"]}}, 15),
        ({"DicomModalities": {"a": ["A", "host", 0]}}, 3),
        ({"DicomModalities": {"a": ["A", "host", 65535]}}, 3),
        ({"DicomModalities": {"a": ["A", "host", 104, "Acme"]}}, 3),
        ({"DicomModalities": {"a b": ["A", "host", 104]}}, 15),
        ({"OrthancPeers": {"a": ["http://a/", "user"]}}, 15),
        ({"RemoteAccessAllowed": True}, 47),
        ({"RemoteAccessAllowed": True, "RegisteredUsers": {"a": 5}}, 15),
        ({"CheckRevisions": True, "StoreMD5ForAttachments": False}, 3),
        ({"OverwriteInstances": "IfChanged", "StoreMD5ForAttachments": False}, 47),
        ({"PatientLevelEnabled": False, "MaximumPatientCount": 5}, 47),
        ({"LuaScripts": ["missing.lua"]}, 2006),
        ({"ExternalDictionaries": ["missing.dic"]}, 13),
        ({"StorageDirectory": "c.json"}, 1002),
        ({"SslEnabled": True}, 39),
        ({"SslEnabled": True, "SslVerifyPeers": True, "SslCertificate": "c.json"}, 39),
        ({"DicomTlsEnabled": True, "DicomTlsCertificate": "c.json", "DicomTlsPrivateKey": "c.json"}, 3),
        ({"Authorization": {"WebServiceRootUrl": "http://a/"}}, 47),
    ],
)
def test_a_configuration_that_cannot_be_honoured_is_refused(
    tmp_path: Path, values: dict[str, Json], code: int
) -> None:
    assert _codes(tmp_path, values) == [code]


@pytest.mark.parametrize(
    "values",
    [
        {"ConcurrentJobs": 0, "MaximumStorageCacheSize": 0, "KeepAliveTimeout": 0, "StableAge": 0},
        {"RemoteAccessAllowed": True, "RegisteredUsers": {}},
        {"RemoteAccessAllowed": True, "AuthenticationEnabled": False},
        {"MaximumStorageMode": "Whatever"},
        {"Warnings": {"W003_DecoderFailure": 5}},
        {"UserMetadata": {"any name": 1024}},
        {"Locale": "nope", "TemporaryDirectory": "missing", "HttpsCACertificates": "missing"},
        {"AcceptedTransferSyntaxes": "1.2.840.10008.1.2"},
        {"AcceptedSopClasses": ["nope"]},
        {"OverwriteInstances": True},
        {"DicomModalities": {"a": ["A", "host", "104"]}},
        {"DicomModalities": {"a": {"AET": "A", "Host": "h", "Port": 104, "AllowStorageCommitment": False}}},
        {"OrthancPeers": {"a": ["strange url"], "b": {"Url": "x"}}},
        {
            "ExtraMainDicomTags": {"Study": ["PatientName", "0008,0090", "Mine"]},
            "Dictionary": {"00e1,c2": ["UI", "Mine"]},
        },
        {"HttpServerEnabled": False, "HttpPort": 4242},
        {"Authorization": {"Enable": False}},
        {"DicomWeb": {}, "Whatever": 1},
    ],
)
def test_a_configuration_orthanc_accepts_is_accepted(tmp_path: Path, values: dict[str, Json]) -> None:
    assert _load(tmp_path, values).given == values


def test_every_reason_is_given_at_once(tmp_path: Path) -> None:
    assert _codes(tmp_path, {"HttpPort": "x", "DicomAet": "", "StableAge": -1}) == [3, 5, 15]


def test_a_message_names_the_option_and_never_shows_a_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        _load(tmp_path, {"HttpPort": "x", "RegisteredUsers": "secret"})
    assert 'The configuration option "HttpPort" must be' in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"HttpPrt": 1}, 'Unknown option "HttpPrt", did you mean "HttpPort"?'),
        ({"Zzzz": 1}, 'Unknown option "Zzzz"'),
        ({"MallocArenaMax": 6}, '"MallocArenaMax" has no effect'),
        ({"Plugins": ["a.so"]}, '"Plugins" has no effect'),
        ({"Housekeeper": {"Enable": True}}, 'section "Housekeeper" has no effect'),
        ({"MaximumStorageMode": "reject"}, "new instances will be refused"),
        ({"SyncStorageArea": False}, "power cut"),
        ({"RemoteAccessAllowed": True, "AuthenticationEnabled": False}, "Everybody on the network"),
        ({"RemoteAccessAllowed": True, "RegisteredUsers": {}}, "Nobody can log in"),
        ({"AuthenticationEnabled": True, "RegisteredUsers": {"orthanc": "orthanc"}}, "change it"),
        ({"TemporaryDirectory": "missing"}, '"TemporaryDirectory" has no effect'),
    ],
)
def test_what_an_administrator_should_know_is_a_warning(
    tmp_path: Path, values: dict[str, Json], words: str
) -> None:
    assert any(words in warning for warning in _load(tmp_path, values).warnings)


def test_defaults_written_out_give_no_warning(tmp_path: Path) -> None:
    values: dict[str, Json] = {"SaveJobs": True, "Plugins": [], "DicomWeb": {"Enable": False}}
    assert _load(tmp_path, values).warnings == ()


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    configuration = _load(tmp_path, {"Name": "a"})
    assert not has_changed(configuration)
    (tmp_path / "c.json").write_text('{"Name": "b"}')
    assert has_changed(configuration)
    (tmp_path / "c.json").write_text("{")
    assert has_changed(configuration)


_ENABLED: Json = {"EnableIndex": True}


@pytest.mark.parametrize(
    ("values", "is_in"),
    [
        ({}, False),
        ({"PostgreSQL": {"EnableIndex": False}}, False),
        ({"PostgreSQL": _ENABLED}, True),
        ({"PostgreSQL": _ENABLED, "MySQL": {"EnableIndex": False}}, True),
        ({"PostgreSQL": _ENABLED, "MySQL": _ENABLED}, False),
        ({"PostgreSQL": _ENABLED, "Odbc": _ENABLED, "Plugins": ["/p/libOrthancPostgreSQLIndex.so"]}, True),
    ],
)
def test_of_several_databases_the_plugin_that_is_named_is_meant(
    tmp_path: Path, values: dict[str, Json], is_in: bool
) -> None:
    loaded = _load(tmp_path, values)
    assert is_in_postgres(loaded.given) is is_in
    is_told = any("kept in SQLite" in warning for warning in loaded.warnings)
    assert is_told is (not is_in and values.get("PostgreSQL") == _ENABLED)


def test_a_database_that_cannot_be_used_is_told_of_and_refused_where_its_plugin_is_named(
    tmp_path: Path,
) -> None:
    alone: dict[str, Json] = {"MySQL": _ENABLED}
    assert any("kept in SQLite" in warning for warning in _load(tmp_path, alone).warnings)
    assert _codes(tmp_path, {**alone, "Plugins": ["/p/libOrthancMySQLIndex.so"]}) == [2]
    beside: dict[str, Json] = {
        **alone,
        "PostgreSQL": _ENABLED,
        "Plugins": ["/p/libOrthancPostgreSQLIndex.so"],
    }
    assert any("kept in PostgreSQL" in warning for warning in _load(tmp_path, beside).warnings)


def test_files_in_another_database_are_no_reason_to_stop_where_it_is_not_used(tmp_path: Path) -> None:
    both: dict[str, Json] = {"PostgreSQL": {"EnableIndex": True, "EnableStorage": True}}
    assert _codes(tmp_path, both) == [2]
    assert _load(tmp_path, {**both, "MySQL": _ENABLED}).warnings
