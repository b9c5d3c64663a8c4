"""Scripts in a server that runs."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE
from tests.automation.conftest import ScriptedServer, StartScripted
from tests.rest.builders import ids, real_file, slice_file
from tests.servers import free_port

_PATIENT, _STUDY, _SERIES, _INSTANCE = ids()


def _post(scripted: ScriptedServer, file: bytes) -> dict[str, str]:
    status, answer = scripted.server.request("POST", "/instances", file)
    assert status == 200, answer
    found: dict[str, str] = json.loads(answer)
    return found


def _c_store(scripted: ScriptedServer, name: str = "CT_small.dcm") -> int:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    dataset = dcmread(path)
    peer = AE("SCANNER")
    peer.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = peer.associate("127.0.0.1", scripted.server.dicom_port, ae_title="HOUNSFIELD")
    assert association.is_established
    status = int(association.send_c_store(dataset).Status)
    association.release()
    return status


def test_scripts_of_clients_are_run_only_if_that_is_allowed(start_scripted: StartScripted) -> None:
    scripted = start_scripted(ExecuteLuaEnabled=False)
    assert scripted.failure("print(42)") == (403, {})


def test_what_a_script_prints_is_the_answer(start_scripted: StartScripted) -> None:
    scripted = start_scripted()
    assert scripted.run("print(42) print(1, 'a')") == "42\n1, a\n"
    status, error = scripted.failure("error('boum')")
    assert (status, error["OrthancStatus"], error["Message"]) == (500, 2031, "Cannot execute a Lua command")
    assert error["Details"] == '[string "line"]:1: boum'


def test_a_script_asks_the_server_itself(start_scripted: StartScripted) -> None:
    scripted = start_scripted()
    script = f"""
        local root = 'http://127.0.0.1:{scripted.server.http_port}'
        print(ParseJson(RestApiGet('/system'))['Version'], RestApiGet('/nope'))
        print(RestApiPut('/tools/log-level', 'verbose') or 'nil', RestApiPost('/tools/lookup', 'zz'))
        print(HttpPost(root .. '/tools/lookup', 'zz'), HttpGet(root .. '/nope'), HttpDelete(root .. '/changes'))
        print(RestApiGet('/tools/generate-uid?level=patient', true, {{ accept = '*/*' }}):len())
    """
    printed = scripted.run(script).splitlines()
    assert printed[0] == "1.13.0, nil"
    assert printed[2:] == ["[], nil, true", "36"]


def test_callbacks_are_told_what_happens(start_scripted: StartScripted) -> None:
    scripted = start_scripted(
        """
        function Initialize() note('initialize') end
        function Finalize() note('finalize') end
        function OnStoredInstance(id, tags, metadata, origin)
          note('stored', id, tags.PatientID, metadata.Origin, metadata.TransferSyntax, DumpJson(origin))
        end
        function OnStableSeries(id, tags, metadata) note('series', id, tags.Modality, metadata.LastUpdate ~= nil) end
        function OnStableStudy(id, tags) note('study', id, tags.StudyDate) end
        function OnStablePatient(id, tags) note('patient', id, tags.PatientID) end
        function OnUpdatedStudy(id) note('updated', id) end
        function OnDeletedPatient(id) note('deleted patient', id) end
        function OnDeletedInstance(id) note('deleted instance', id) end
        """
    )
    _post(scripted, slice_file())
    lines = scripted.wait_for(lambda lines: len(lines) >= 5)
    syntax = "1.2.840.10008.1.2.1"
    origin = '{"RemoteIp":"127.0.0.1","RequestOrigin":"RestApi","Username":""}'
    assert lines == [
        "initialize",
        f"stored {_INSTANCE} P1 RestApi {syntax} {origin}",
        f"series {_SERIES} CT true",
        f"study {_STUDY} 20200102",
        f"patient {_PATIENT} P1",
    ]
    scripted.server.request("PUT", f"/studies/{_STUDY}/metadata/1024", b"x")
    scripted.wait_for_line(f"updated {_STUDY}")
    scripted.server.request("DELETE", f"/patients/{_PATIENT}")
    lines = scripted.wait_for(lambda lines: len(lines) >= 8)
    assert set(lines[6:]) == {f"deleted patient {_PATIENT}", f"deleted instance {_INSTANCE}"}
    assert scripted.server.stop() == 0
    assert scripted.seen()[-1] == "finalize"


def test_the_heart_beats(start_scripted: StartScripted) -> None:
    scripted = start_scripted("function OnHeartBeat() note('beat') end", LuaHeartBeatPeriod=1)
    scripted.wait_for(lambda lines: len(lines) >= 2)


def test_an_instance_of_a_script_says_so(start_scripted: StartScripted) -> None:
    scripted = start_scripted("function OnStoredInstance(id, t, m, origin) note(DumpJson(origin)) end")
    path = get_testdata_file("CT_small.dcm")
    scripted.run(f"print(RestApiPost('/instances', io.open('{path}', 'rb'):read('a')))")
    assert scripted.wait_for(bool) == ['{"RequestOrigin":"Lua"}']


def test_an_instance_that_comes_again_is_told_of_with_who_sent_it(start_scripted: StartScripted) -> None:
    scripted = start_scripted(
        "function OnStoredInstance(id, t, metadata, origin) note(metadata.Origin, origin.RequestOrigin) end"
    )
    path = get_testdata_file("CT_small.dcm")
    _post(scripted, Path(str(path)).read_bytes())
    scripted.run(f"RestApiPost('/instances', io.open('{path}', 'rb'):read('a'))")
    assert scripted.wait_for(lambda lines: len(lines) >= 2) == ["RestApi RestApi", "RestApi Lua"]


def test_a_broken_callback_harms_nobody(start_scripted: StartScripted) -> None:
    scripted = start_scripted(
        """
        function OnStoredInstance(id) if n == nil then n = 1 error('broken') end note('next', id) end
        function ReceivedInstanceFilter() error('broken too') end
        """
    )
    assert _post(scripted, slice_file())["Status"] == "Success"
    assert _post(scripted, slice_file(instance="1.1.1.2"))["Status"] == "Success"
    scripted.wait_for_line("next")


def test_instances_are_filtered(start_scripted: StartScripted) -> None:
    scripted = start_scripted(
        """
        function ReceivedInstanceFilter(tags, origin, info)
          note(tags.PatientID, DumpJson(origin), DumpJson(info))
          return tags.Modality ~= 'CT'
        end
        """
    )
    assert _post(scripted, slice_file())["Status"] == "FilteredOut"
    assert _post(scripted, real_file("MR_small.dcm"))["Status"] == "Success"
    assert _c_store(scripted) == 0
    assert len(scripted.server.json("/instances")) == 1
    dicom = '{"CalledAet":"HOUNSFIELD","RemoteAet":"SCANNER","RemoteIp":"127.0.0.1","RequestOrigin":"DicomProtocol"}'
    info = '{"HasPixelData":true,"TransferSyntaxUID":"1.2.840.10008.1.2.1"}'
    assert scripted.seen()[-1] == f"1CT1 {dicom} {info}"


@pytest.mark.parametrize(("given", "status"), [("0xB123", 0xB123), ("0", 0), ("'x'", 0), ("70000", 0)])
def test_a_filter_gives_the_status_of_a_c_store(
    start_scripted: StartScripted, given: str, status: int
) -> None:
    scripted = start_scripted(f"function ReceivedCStoreInstanceFilter(tags, origin, info) return {given} end")
    assert _c_store(scripted) == status
    assert len(scripted.server.json("/instances")) == (0 if status else 1)
    assert _post(scripted, real_file("MR_small.dcm"))["Status"] == "Success"


def test_requests_are_filtered_and_scripts_are_not(start_scripted: StartScripted) -> None:
    scripted = start_scripted(
        """
        function IncomingHttpRequestFilter(method, uri, ip, username, headers)
          note(method, uri, ip, username, headers['x-a'])
          if uri == '/patients' then return nil end
          if uri == '/series' then error('broken') end
          return uri ~= '/studies'
        end
        """
    )
    assert scripted.server.request("GET", "/studies?expand", None, {"X-A": "b"}) == (403, b"")
    assert scripted.server.request("GET", "/instances")[0] == 200
    codes = []
    for path in ("/patients", "/series"):
        status, answer = scripted.server.request("GET", path)
        codes.append((status, json.loads(answer)["OrthancStatus"]))
    assert codes == [(500, 2034), (500, 2031)]
    assert scripted.run("print(RestApiGet('/studies'))") == "[]\n"
    assert "GET /studies 127.0.0.1  b" in scripted.seen()


def test_a_script_that_asks_its_own_server_by_http_does_not_wait_for_itself(
    start_scripted: StartScripted,
) -> None:
    scripted = start_scripted("function IncomingHttpRequestFilter() return true end")
    address = f"http://127.0.0.1:{scripted.server.http_port}/tools/lookup"
    client = f"{sys.executable} -c \"import urllib.request as u; print(u.urlopen('{address}', b'x').read())\""
    assert scripted.run(f"print(HttpPost('{address}', 'x'))") == "[]\n"
    assert scripted.run(f"print(io.popen([[{client}]]):read('a'))") == "b'[]'\n\n"
    assert scripted.run(f"print(os.execute([[{client}]]))") == "true, exit, 0\n"


def test_what_a_callback_orders_becomes_a_job(start_scripted: StartScripted, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    scripted = start_scripted(
        f"""
        function OnStoredInstance(id)
          CallSystem(id, '/bin/sh', {{ '-c', 'cp "$0" {copy}' }})
          Delete(id)
        end
        function OnJobSubmitted(id) note('submitted', RestApiGet('/jobs/' .. id) ~= nil) end
        function OnJobSuccess(id)
          local job = ParseJson(RestApiGet('/jobs/' .. id))
          note('success', job.Type, DumpJson(job.Content))
        end
        """
    )
    _post(scripted, slice_file())
    line = scripted.wait_for_line("success")
    assert line == 'success SequenceOfOperations {"CountOperations":2,"Description":"Lua"}'
    assert scripted.seen()[0] == "submitted true"
    assert scripted.server.json("/instances") == []
    assert copy.read_bytes() == slice_file()


def test_an_operation_that_fails_fails_the_job(start_scripted: StartScripted) -> None:
    scripted = start_scripted(
        """
        function OnStoredInstance(id) SendToModality(id, 'nope') CallSystem(id, 'false') end
        function OnJobFailure(id) note('failure', ParseJson(RestApiGet('/jobs/' .. id)).ErrorDetails) end
        """
    )
    _post(scripted, slice_file())
    assert scripted.wait_for_line("failure") == "failure 2 of 2 operations failed"


@pytest.mark.parametrize(("script", "code"), [("x = = 5", "2031"), ("error('no')", "2031")])
def test_a_server_with_a_broken_script_does_not_start(tmp_path: Path, script: str, code: str) -> None:
    (tmp_path / "script.lua").write_text(script)
    options = {"LuaScripts": ["script.lua"], "HttpServerEnabled": False, "DicomServerEnabled": False}
    (tmp_path / "c.json").write_text(json.dumps({"StorageDirectory": "s", **options}))
    command = [sys.executable, "-m", "hounsfield", "serve", str(tmp_path / "c.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 255
    assert code in done.stderr or "script.lua" in done.stderr


@pytest.mark.parametrize("guard", ["metadata.ModifiedFrom == nil", "origin.RequestOrigin ~= 'Lua'"])
def test_instances_are_modified_sent_and_deleted_without_an_end(
    start_scripted: StartScripted, guard: str
) -> None:
    """The example of Orthanc's manual, sending to ourselves; either guard keeps it from going round for ever."""
    port = free_port()
    scripted = start_scripted(
        f"""
        function OnStoredInstance(id, tags, metadata, origin)
          note('stored', tags.StationName, origin.RequestOrigin, metadata.ModifiedFrom ~= nil)
          if {guard} and origin.RequestOrigin ~= 'DicomProtocol' then
            local modified = ModifyInstance(id, {{ StationName = 'Ours' }}, {{ 'StudyDate' }}, true)
            Delete(SendToModality(modified, 'self'))
            Delete(id)
          end
        end
        function OnJobSuccess(id) note('job', ParseJson(RestApiGet('/jobs/' .. id)).Type) end
        function OnJobFailure(id) note('failure', RestApiGet('/jobs/' .. id)) end
        """,
        DicomPort=port,
        DicomModalities={"self": ["HOUNSFIELD", "127.0.0.1", port]},
        OverwriteInstances="Always",
    )
    _post(scripted, slice_file())
    lines = scripted.wait_for(lambda lines: "job SequenceOfOperations" in lines)
    assert lines[0] == "stored nil RestApi false"
    assert lines[1] == "stored Ours Lua true"
    assert lines.count("stored Ours DicomProtocol false") == 1
    assert not [line for line in lines if line.startswith("failure")]
    assert scripted.server.json("/instances") == []


def test_many_callbacks_that_wait_for_jobs_do_not_wait_for_each_other(start_scripted: StartScripted) -> None:
    """More callbacks than workers order what is itself done by jobs."""
    port = free_port()
    scripted = start_scripted(
        """
        function OnStoredInstance(id, tags, metadata, origin)
          if origin.RequestOrigin == 'RestApi' then SendToModality(id, 'self') end
        end
        function OnJobSuccess(id) note(ParseJson(RestApiGet('/jobs/' .. id)).Type) end
        """,
        DicomPort=port,
        DicomModalities={"self": ["HOUNSFIELD", "127.0.0.1", port]},
        ConcurrentJobs=1,
    )
    for number in range(8):
        _post(scripted, slice_file(instance=f"1.1.1.{number}"))
    scripted.wait_for(lambda lines: lines.count("SequenceOfOperations") == 8)
    assert scripted.seen().count("DicomModalityStore") == 8


def test_who_asks_after_storing_sees_what_scripts_made_of_it(start_scripted: StartScripted) -> None:
    scripted = start_scripted(
        """
        function OnStoredInstance(id, tags, metadata, origin)
          os.execute('sleep 0.1')
          RestApiPut('/instances/' .. id .. '/metadata/1024', 'seen')
        end
        """
    )
    for number in range(3):
        public_id = _post(scripted, slice_file(instance=f"1.1.1.{number}"))["ID"]
        assert scripted.server.request("GET", f"/instances/{public_id}/metadata/1024") == (200, b"seen")


def test_queries_are_rewritten(start_scripted: StartScripted) -> None:
    port = free_port()
    scripted = start_scripted(
        """
        function IncomingFindRequestFilter(source, origin)
          note('in', DumpJson(source, true), DumpJson(origin))
          source['0010,0020'] = 'P1'
          return source
        end
        function OutgoingFindRequestFilter(source, modality)
          note('out', DumpJson(source, true), modality)
          source['0010,0010'] = '*'
          return source
        end
        """,
        DicomPort=port,
        DicomModalities={"self": ["HOUNSFIELD", "127.0.0.1", port]},
    )
    _post(scripted, slice_file())
    _post(scripted, slice_file(patient="P2", study="2.1", series="2.1.1", instance="2.1.1.1"))
    question = {"Level": "Study", "Query": {"PatientName": "K*"}}
    query = scripted.server.json("/modalities/self/query", question)["ID"]
    answers = scripted.server.json(f"/queries/{query}/answers?expand&simplify")
    assert [answer["PatientID"] for answer in answers] == ["P1"]
    out, inside = scripted.seen()
    assert out.startswith("out {")
    assert out.endswith(" HOUNSFIELD")
    assert '"0010,0010":"K*"' in out
    assert '"0008,0052":"STUDY"' in inside
    assert inside.endswith(
        '{"CalledAet":"HOUNSFIELD","Manufacturer":"Generic","RemoteAet":"HOUNSFIELD","RemoteIp":"127.0.0.1"}'
    )


def test_a_filter_keeps_instances_from_being_sent(start_scripted: StartScripted) -> None:
    port = free_port()
    scripted = start_scripted(
        """
        function OutgoingCStoreInstanceFilter(tags, destination)
          note(tags.PatientID, DumpJson(destination))
          return tags.PatientID ~= 'P1'
        end
        """,
        DicomPort=port,
        DicomModalities={"self": ["HOUNSFIELD", "127.0.0.1", port]},
        OverwriteInstances="Always",
    )
    _post(scripted, slice_file())
    scripted.server.json("/modalities/self/store", {"Resources": [_INSTANCE], "Synchronous": True})
    assert scripted.seen() == ['P1 {"RemoteAet":"HOUNSFIELD","RemoteIp":"127.0.0.1"}']
    origin = scripted.server.request("GET", f"/instances/{_INSTANCE}/metadata/Origin")[1]
    assert origin == b"RestApi"


def test_scripts_keep_values_across_restarts(start_scripted: StartScripted) -> None:
    scripted = start_scripted()
    store = (
        "StoreKeyValue('a', 'k', 'one') StoreKeyValue('a', 'k', 'two\\0') StoreKeyValue('b', 'k', 'other')"
    )
    assert scripted.run(f"print(GetKeyValue('a', 'k')) {store} print(#GetKeyValue('a', 'k'))") == "nil\n4\n"
    scripted.server.stop()
    again = start_scripted()
    assert (
        again.run("DeleteKeyValue('a', 'k') print(GetKeyValue('a', 'k'), GetKeyValue('b', 'k'))")
        == "nil, other\n"
    )


def test_scripts_say_what_is_stable(start_scripted: StartScripted) -> None:
    scripted = start_scripted("function OnStableStudy(id) note('stable', id) end", StableAge=3600)
    _post(scripted, slice_file())
    set_it = f"SetStableStatus('{_STUDY}', %s)"
    assert scripted.run(f"print({set_it % 'true'}, {set_it % 'true'})") == "true, false\n"
    scripted.wait_for_line(f"stable {_STUDY}")
    assert scripted.server.json(f"/studies/{_STUDY}")["IsStable"] is True
    assert scripted.server.json("/changes?last")["Changes"][0]["ChangeType"] == "StableStudy"
    assert scripted.run(f"print({set_it % 'false'})") == "true\n"
    assert scripted.server.json(f"/studies/{_STUDY}")["IsStable"] is False
    assert scripted.run("print(SetStableStatus('nope', true))") == "nil\n"


def test_what_a_script_calls_unstable_becomes_stable_again(start_scripted: StartScripted) -> None:
    scripted = start_scripted("function OnStableStudy(id) note('stable', id) end", StableAge=1)
    _post(scripted, slice_file())
    scripted.wait_for_line("stable")
    assert scripted.run(f"print(SetStableStatus('{_STUDY}', false))") == "true\n"
    scripted.wait_for(lambda lines: len(lines) == 2)


@pytest.mark.parametrize(
    "script", ["while true do end", "while true do pcall(function() while true do end end) end"]
)
def test_a_server_stops_whatever_scripts_do(start_scripted: StartScripted, script: str) -> None:
    scripted = start_scripted("function Finalize() note('finalize') end")
    with ThreadPoolExecutor(1) as pool:
        endless = pool.submit(scripted.failure, f"note('begun') {script}")
        scripted.wait_for_line("begun")
        assert scripted.server.stop() == 0
        status, error = endless.result(60)
    assert (status, error["Details"]) == (500, "The server stops")
    assert scripted.seen() == ["begun", "finalize"]
