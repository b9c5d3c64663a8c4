"""Jobs on a real server: killed, stopped, started without them."""

import json
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from tests import instances
from tests.servers import RunningServer, running, start


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def fill(server: RunningServer, count: int) -> None:
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(count):
            archive.writestr(str(number), instances.file(number))
    status, answer = server.request("POST", "/instances", target.getvalue())
    assert (status, len(json.loads(answer))) == (200, count)


def jobs(server: RunningServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.json("/jobs?expand")
    return found


def modify(server: RunningServer, count: int) -> list[str]:
    """Submit a job for each of some studies; their ids."""
    return [
        server.json(f"/studies/{study}/modify", {"Replace": {"StudyDescription": "x"}, "Asynchronous": True})[
            "ID"
        ]
        for study in server.json("/studies")[:count]
    ]


def test_killed_in_the_middle_every_job_is_done_in_the_end(tmp_path: Path) -> None:
    options = {"JobsHistorySize": 100, "SyncStorageArea": False, "ConcurrentJobs": 2}
    server = start(tmp_path, options)
    fill(server, 400)
    submitted = modify(server, 20)
    until(lambda: any(job["State"] == "Success" for job in jobs(server)))
    server.kill()
    server = start(tmp_path, options)
    try:
        assert {job["ID"] for job in jobs(server)} == set(submitted)
        until(lambda: {job["State"] for job in jobs(server)} == {"Success"})
        for job in jobs(server):
            assert job["Content"]["FailedInstancesCount"] == 0
    finally:
        server.stop()


def test_a_paused_job_is_still_paused_after_a_restart(tmp_path: Path) -> None:
    server = start(tmp_path, {"ConcurrentJobs": 1})
    fill(server, 100)
    submitted = modify(server, 5)
    last = submitted[-1]
    server.request("POST", f"/jobs/{last}/pause")
    if server.json(f"/jobs/{last}")["State"] != "Paused":
        pytest.skip("it was done already")
    assert server.stop() == 0
    server = start(tmp_path, {"ConcurrentJobs": 1})
    try:
        assert server.json(f"/jobs/{last}")["State"] == "Paused"
        assert server.request("POST", f"/jobs/{last}/resume") == (200, b"{}")
        until(lambda: bool(server.json(f"/jobs/{last}")["State"] == "Success"))
    finally:
        server.stop()


def test_jobs_that_are_not_saved_are_gone(tmp_path: Path) -> None:
    for options in ({"SaveJobs": False}, {"ReadOnly": True}):
        server = start(tmp_path)
        if not server.json("/instances"):
            fill(server, 20)
        modify(server, 1)
        assert len(jobs(server)) >= 1
        server.stop()
        server = start(tmp_path, options)
        assert jobs(server) == []
        server.stop()


def test_the_flag_no_jobs_drops_the_jobs_of_the_last_run(tmp_path: Path) -> None:
    server = start(tmp_path)
    fill(server, 20)
    modify(server, 1)
    until(lambda: [job["State"] for job in jobs(server)] == ["Success"])
    server.stop()
    command = [sys.executable, "-m", "hounsfield", "serve", "--no-jobs", str(tmp_path / "hounsfield.json")]
    with (tmp_path / "log").open("ab") as log:
        server.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: _is_up(server))
        assert jobs(server) == []
    finally:
        server.stop()


def _is_up(server: RunningServer) -> bool:
    try:
        return server.request("GET", "/system")[0] == 200
    except OSError:
        return False


def test_an_archive_in_the_background_is_downloaded_in_parts(tmp_path: Path) -> None:
    server = start(tmp_path)
    try:
        fill(server, 50)
        (patient, *_) = server.json("/patients")
        job = server.json(f"/patients/{patient}/archive", {"Asynchronous": True})
        until(lambda: bool(server.json(job["Path"])["State"] == "Success"))
        path = job["Path"] + "/archive"
        whole = server.request("GET", path)[1]
        status, rest = server.request("GET", path, None, {"Range": f"bytes={len(whole) // 2}-"})
        assert (status, rest) == (206, whole[len(whole) // 2 :])
        assert zipfile.ZipFile(BytesIO(whole)).testzip() is None
        assert server.request("DELETE", path)[0] == 200
        assert server.request("GET", path)[0] == 404
    finally:
        server.stop()


def test_who_waits_when_the_server_stops_is_told(tmp_path: Path) -> None:
    server = start(tmp_path, {"ConcurrentJobs": 1})
    fill(server, 400)
    modify(server, 20)
    study = server.json("/studies")[-1]
    connection = server.connection()
    connection.request("POST", f"/studies/{study}/modify", json.dumps({"Priority": -5}))
    until(lambda: len(jobs(server)) == 10 or any(job["Priority"] == -5 for job in jobs(server)))
    assert server.stop() == 0
    try:
        assert connection.getresponse().status in (200, 500)
    except OSError:
        pass
    finally:
        connection.close()


def test_jobs_can_be_cancelled_though_all_threads_wait_for_them(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {
            "ConcurrentJobs": 1,
            "HttpThreadsCount": 2,
            "DicomModalities": {"silent": ["SILENT", "127.0.0.1", silent.getsockname()[1]]},
            "DicomScuTimeout": 60,
        }
        with running(tmp_path, options) as server, ThreadPoolExecutor(2) as clients:
            fill(server, 1)
            instance = server.json("/instances")[0]
            blocking = server.json(
                "/modalities/silent/store", {"Resources": [instance], "Asynchronous": True}
            )
            until(lambda: bool(server.json(f"/jobs/{blocking['ID']}")["State"] == "Running"))
            study = server.json("/studies")[0]
            waiting = [
                clients.submit(server.request, "POST", f"/studies/{study}/modify", b"{}") for _ in range(2)
            ]
            until(lambda: len(server.json("/jobs")) == 3)
            for job in jobs(server):
                if job["State"] == "Pending":
                    assert server.request("POST", f"/jobs/{job['ID']}/cancel") == (200, b"{}")
            assert [each.result(20)[0] for each in waiting] == [500, 500]
            silent.accept()[0].close()  # Lets the job fail, and the server stop.


def test_a_filter_that_a_job_asks_may_wait_for_another_job(tmp_path: Path) -> None:
    script = tmp_path / "filter.lua"
    script.write_text(
        "function ReceivedInstanceFilter(dicom, origin)\n"
        "  if dicom['StudyDescription'] == 'x' then\n"
        '    RestApiPost(\'/tools/bulk-modify\', \'{"Resources": [], "Level": "Study"}\')\n'
        "  end\n"
        "  return true\n"
        "end\n"
    )
    with running(tmp_path, {"ConcurrentJobs": 1, "LuaScripts": [str(script)]}) as server:
        fill(server, 1)
        study = server.json("/studies")[0]
        answer = server.json(f"/studies/{study}/modify", {"Replace": {"StudyDescription": "x"}})
        assert answer["FailedInstancesCount"] == 0
        assert len(server.json("/jobs")) == 2
