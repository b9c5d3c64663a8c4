import json
from pathlib import Path

import pytest

from hounsfield.config.lenient_json import Json
from hounsfield.config.refusal import ConfigurationRefused
from hounsfield.config.sources import Origin, Sources, read_sources


def _write(path: Path, values: dict[str, Json]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
    return path


def _read(folder: Path, *paths: str, environment: dict[str, str] | None = None) -> Sources:
    named = tuple(Path(path) for path in paths)
    return read_sources(Origin(named, environment or {}, folder, secrets_folder=folder / "secrets"))


def _code(folder: Path, *paths: str) -> int:
    with pytest.raises(ConfigurationRefused) as refused:
        _read(folder, *paths)
    return refused.value.refusals[0].code


def test_without_anything_nothing_is_configured(tmp_path: Path) -> None:
    sources = _read(tmp_path)
    assert (sources.values, sources.is_configured, sources.base_folder) == ({}, False, tmp_path)


def test_a_folder_gives_its_json_files_and_no_others(tmp_path: Path) -> None:
    _write(tmp_path / "d" / "a.json", {"Name": "a"})
    _write(tmp_path / "d" / "b.json", {"HttpPort": 1})
    _write(tmp_path / "d" / "c.txt", {"DicomPort": 1})
    _write(tmp_path / "d" / "e" / "f.json", {"DicomAet": "F"})
    sources = _read(tmp_path, "d")
    assert sources.values == {"Name": "a", "HttpPort": 1}
    assert sources.base_folder == tmp_path / "d"


def test_an_option_in_two_files_is_refused_with_both_names(tmp_path: Path) -> None:
    _write(tmp_path / "a.json", {"HttpPort": 1})
    _write(tmp_path / "b.json", {"HttpPort": 1})
    with pytest.raises(ConfigurationRefused) as refused:
        _read(tmp_path, "a.json", "b.json")
    details = refused.value.refusals[0].details
    assert 'The configuration section "HttpPort" is defined in 2 different configuration files' in details
    assert str(tmp_path / "a.json") in details
    assert str(tmp_path / "b.json") in details


def test_relative_paths_start_from_the_file(tmp_path: Path) -> None:
    _write(tmp_path / "d" / "b.json", {})
    assert _read(tmp_path, "d/b.json").base_folder == tmp_path / "d"


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "{} {}", "{'a':1}"])
def test_what_is_not_an_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert _code(tmp_path, "a.json") == 28


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert _code(tmp_path, "missing.json") == 2006


def test_later_layers_win(tmp_path: Path) -> None:
    _write(
        tmp_path / "a.json",
        {"Name": "file", "StableAge": 1, "HttpPort": 1, "DicomPort": 1, "DicomAet": "FILE"},
    )
    _write(
        tmp_path / "secrets" / "s.json", {"StableAge": 2, "HttpPort": 2, "DicomPort": 2, "DicomAet": "JSON"}
    )
    (tmp_path / "secrets" / "ORTHANC__DICOM_AET").write_text("SECRET\n")
    environment = {
        "ORTHANC_JSON": '{"HttpPort": 3, "DicomPort": 3}',
        "ORTHANC__DICOM_PORT": "4",
        "ORTHANC__DICOM_AET": "VARIABLE",
    }
    assert _read(tmp_path, "a.json", environment=environment).values == {
        "Name": "file",
        "StableAge": 2,
        "HttpPort": 3,
        "DicomPort": 4,
        "DicomAet": "SECRET",
    }


def test_a_layer_replaces_users_but_completes_a_plugins_section(tmp_path: Path) -> None:
    _write(tmp_path / "a.json", {"RegisteredUsers": {"orthanc": "orthanc"}, "PostgreSQL": {"Host": "db"}})
    _write(tmp_path / "secrets" / "s.json", {"RegisteredUsers": {"a": "b"}, "PostgreSQL": {"Password": "p"}})
    assert _read(tmp_path, "a.json").values == {
        "RegisteredUsers": {"a": "b"},
        "PostgreSQL": {"Host": "db", "Password": "p"},
    }


def test_variables_are_replaced_before_the_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"HttpPort": ${PORT:-8042}, "Name": "${NAME:-"a}b"}"}')
    assert _read(tmp_path, "a.json", environment={"PORT": "1"}).values == {"HttpPort": 1, "Name": "a}b"}


def test_doubtful_files_are_read_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"Name": "\xe9", "StableAge": 1, "StableAge": 2}')
    sources = _read(tmp_path, "a.json")
    assert sources.values == {"Name": "é", "StableAge": 2}
    assert len(sources.warnings) == 2


def test_secrets_do_not_show_when_sources_are_printed(tmp_path: Path) -> None:
    _write(tmp_path / "a.json", {"RegisteredUsers": {"a": "hidden"}})
    assert "hidden" not in repr(_read(tmp_path, "a.json", environment={"X": "hidden"}))
