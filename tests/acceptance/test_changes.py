"""Section C: changes and exports."""

import re

from tests.acceptance.asking import status_of, until, upload
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer

OPTIONS = {
    "LogExportedResources": True,
    "StableAge": 1,
}


def _kinds(server: RunningServer, query: str = "") -> list[str]:
    return [each["ChangeType"] for each in server.json(f"/changes{query}")["Changes"]]


def _new(server: RunningServer) -> list[int]:
    """The numbers of the changes of an upload, in order."""
    return [each["Seq"] for each in server.json("/changes?limit=4")["Changes"]]


def test_a_server_without_changes_is_done(server: RunningServer) -> None:
    """Scenario 55."""
    for query in ("", "?last"):
        told = server.json(f"/changes{query}")
        assert (told["Changes"], told["Done"]) == ([], True)
        assert "First" not in told


def test_an_upload_is_four_changes(server: RunningServer) -> None:
    """Scenarios 56, 57, 59 and 64."""
    upload(server, slice_file())
    told = server.json("/changes?limit=4")
    assert _kinds(server, "?limit=4") == ["NewInstance", "NewSeries", "NewStudy", "NewPatient"]
    last = told["Last"]
    assert last == told["Changes"][3]["Seq"]
    assert told["First"] == told["Changes"][0]["Seq"]
    assert all(re.fullmatch(r"\d{8}T\d{6}", each["Date"]) for each in told["Changes"])
    until(lambda: _kinds(server).count("StablePatient"))  # What is stable is told behind them.
    end = server.json("/changes")["Last"]
    one = server.json(f"/changes?limit=1&since={end - 2}")
    assert (len(one["Changes"]), one["Done"]) == (1, False)
    assert server.json(f"/changes?limit=1&since={end - 1}")["Done"] is True
    beyond = server.json(f"/changes?since={end + 10}")
    assert (beyond["Changes"], beyond["Done"], beyond["Last"]) == ([], True, end)


def test_numbers_go_on_after_a_deletion(server: RunningServer) -> None:
    """Scenario 58."""
    upload(server, slice_file())
    last = server.json("/changes")["Last"]
    assert status_of(server, "DELETE", f"/patients/{ids()[0]}") == 200
    told = server.json("/changes?type=NewInstance;NewSeries;NewStudy;NewPatient")
    assert told["Changes"] == []
    assert server.json("/changes")["Last"] >= last
    upload(server, slice_file())
    assert min(_new(server)) > last


def test_metadata_that_change_are_changes(server: RunningServer) -> None:
    """Scenario 60."""
    study = upload(server, slice_file())["ParentStudy"]
    for method in ("PUT", "DELETE"):
        before = _kinds(server).count("UpdatedMetadata")
        assert status_of(server, method, f"/studies/{study}/metadata/1024", "x") == 200
        assert _kinds(server).count("UpdatedMetadata") == before + 1


def test_changes_are_filtered_by_their_type(server: RunningServer) -> None:
    """Scenario 61."""
    upload(server, slice_file())
    told = server.json("/changes?type=NewPatient;NewInstance")
    assert [each["ChangeType"] for each in told["Changes"]] == ["NewInstance", "NewPatient"]
    assert told["Last"] == told["Changes"][-1]["Seq"]


def test_changes_are_paged_backwards(server: RunningServer) -> None:
    """Scenario 62."""
    for number in range(4):
        upload(server, slice_file(f"P{number}", f"1.{number}", f"2.{number}", f"3.{number}"))
    numbers = [each["Seq"] for each in server.json("/changes")["Changes"]]
    told = server.json(f"/changes?to={numbers[12]}&limit=10")
    assert ([each["Seq"] for each in told["Changes"]], told["Done"]) == (numbers[3:13], False)
    told = server.json(f"/changes?to={numbers[5]}&limit=10")
    assert ([each["Seq"] for each in told["Changes"]], told["Done"]) == (numbers[:6], True)
    told = server.json(f"/changes?since={numbers[2]}&to={numbers[5]}")
    assert ([each["Seq"] for each in told["Changes"]], told["Done"]) == (numbers[3:6], True)


def test_an_emptied_log_goes_on(server: RunningServer) -> None:
    """Scenario 63."""
    upload(server, slice_file())
    assert server.request("DELETE", "/changes") == (200, b"")
    until(lambda: {"StableSeries", "StableStudy", "StablePatient"} <= set(_kinds(server)))
    assert "NewInstance" not in _kinds(server)


def test_what_is_sent_is_logged_once_a_resource(server: RunningServer) -> None:
    """Scenario 65."""
    upload(server, slice_file())
    assert status_of(server, "PUT", "/modalities/self", ["HOUNSFIELD", "127.0.0.1", server.dicom_port]) == 200
    before = server.json("/exports")["Last"]
    for public_id in reversed(ids()):
        server.json("/modalities/self/store", public_id)
    told = server.json("/exports")
    assert [len(each) for each in told["Exports"]] == [10, 9, 8, 7]
    assert {each["RemoteModality"] for each in told["Exports"]} == {"self"}
    assert told["Last"] == before + 4
    page = server.json(f"/exports?since={before + 1}&limit=2")
    assert ([each["Seq"] for each in page["Exports"]], page["Done"]) == ([before + 2, before + 3], False)
    last = server.json("/exports?last")["Exports"]
    assert [each["Seq"] for each in last] == [before + 4]
    assert status_of(server, "DELETE", f"/patients/{ids()[0]}") == 200
    assert len(server.json("/exports")["Exports"]) == 4
    assert server.request("DELETE", "/exports") == (200, b"")
    assert server.json("/exports")["Exports"] == []


def test_a_study_is_stable_again_after_it_changed(server: RunningServer) -> None:
    """Scenario 239."""
    study = upload(server, slice_file())["ParentStudy"]
    assert server.json(f"/studies/{study}")["IsStable"] is False
    until(lambda: server.json(f"/studies/{study}")["IsStable"])
    assert _kinds(server).count("StableStudy") == 1
    upload(server, slice_file(instance="1.9"))
    assert server.json(f"/studies/{study}")["IsStable"] is False
    until(lambda: _kinds(server).count("StableStudy") == 2)
    assert server.json(f"/studies/{study}")["IsStable"] is True
