"""Figures for those who watch the server."""

from pathlib import Path

import pytest
from tests.rest.builders import Server, slice_file
from tests.servers import RunningServer, running

from hounsfield.metrics import Metrics

_CACHES = (
    "cache_count", "cache_size_mb", "cache_hit_count", "cache_miss_count", "memory_capacity_mb", "memory_count",
    "memory_usage_mb", "memory_max_usage_mb", "available_threads",
)  # fmt: skip
_NAMES = {
    "orthanc_count_patients", "orthanc_count_studies", "orthanc_count_series", "orthanc_count_instances",
    "orthanc_disk_size_mb", "orthanc_uncompressed_size_mb", "orthanc_jobs_pending", "orthanc_jobs_running",
    "orthanc_jobs_total_completed", "orthanc_jobs_total_success", "orthanc_jobs_total_failed", "orthanc_last_change",
    "orthanc_up_time_s", "orthanc_logged_errors_count", "orthanc_logged_warnings_count", "orthanc_rest_api_duration_ms",
    "orthanc_rest_api_active_requests", "orthanc_available_http_threads_count", "orthanc_available_dicom_threads",
    "orthanc_find_scp_duration_ms", "orthanc_move_scp_duration_ms", "orthanc_get_scp_duration_ms",
    "orthanc_store_dicom_duration_ms", "orthanc_memory_trimming_duration_ms", "orthanc_storage_create_duration_ms",
    "orthanc_storage_read_duration_ms", "orthanc_storage_remove_duration_ms", "orthanc_storage_read_bytes",
    "orthanc_storage_written_bytes", "orthanc_sequential_reader_available_threads",
    "orthanc_transfers_created_push_count", "orthanc_transfers_committed_push_count",
    "orthanc_transfers_aborted_push_count", "orthanc_transfers_push_total_received_bytes_count",
    *(f"orthanc_{keeper}_{name}" for keeper in ("storage", "dicom_parser", "transcoder") for name in _CACHES),
}  # fmt: skip


def _read(text: bytes) -> dict[str, float]:
    lines = [line.split(" ") for line in text.decode().splitlines()]
    assert all(len(line) == 3 for line in lines)
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)
    return {line[0]: float(line[1]) for line in lines}


def test_every_figure_of_orthanc_is_there(server: Server) -> None:
    response = server.ask("GET", "/tools/metrics-prometheus")
    assert response.header(b"content-type") == b"text/plain; version=0.0.4"
    assert isinstance(response.body, bytes)
    own = {"orthanc_index_active_connections"} if server.database.is_elsewhere else set()
    assert set(_read(response.body)) == _NAMES | own


def test_what_is_in_the_archive_is_counted(server: Server) -> None:
    server.post("/instances", slice_file())
    server.post("/instances", slice_file(instance="1.1.1.2"))
    found = _read(server.bytes_of("GET", "/tools/metrics-prometheus"))
    counts = [found[f"orthanc_count_{name}"] for name in ("patients", "studies", "series", "instances")]
    assert counts == [1, 1, 1, 2]
    assert found["orthanc_last_change"] == 5
    assert found["orthanc_store_dicom_duration_ms"] > 0


def test_nothing_is_told_while_figures_are_switched_off(server: Server) -> None:
    assert server.bytes_of("GET", "/tools/metrics") == b"1"
    assert server.bytes_of("PUT", "/tools/metrics", b"false") == b""
    assert server.bytes_of("GET", "/tools/metrics") == b"0"
    assert server.bytes_of("GET", "/tools/metrics-prometheus") == b""
    assert server.failure("PUT", "/tools/metrics", b"nope") == (400, 15)


def _figures(server: RunningServer) -> dict[str, float]:
    return _read(server.request("GET", "/tools/metrics-prometheus")[1])


def test_a_real_server_measures_what_it_does(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.request("POST", "/instances", slice_file())
        public_id = server.json("/instances")[0]
        server.json(f"/instances/{public_id}/tags")
        server.json(f"/instances/{public_id}/tags")
        found = _figures(server)
        assert found["orthanc_rest_api_duration_ms"] > 0
        assert found["orthanc_rest_api_active_requests"] >= 1
        assert found["orthanc_storage_create_duration_ms"] > 0
        assert found["orthanc_storage_written_bytes"] == len(slice_file())
        assert found["orthanc_dicom_parser_cache_count"] == 1
        assert found["orthanc_dicom_parser_cache_hit_count"] >= 1
        assert found["orthanc_available_http_threads_count"] in (49, 50)
        before = found["orthanc_logged_errors_count"]
        server.request(
            "POST", "/tools/execute-script", b"print(1)"
        )  # Forbidden, which is logged as an error.
        assert _figures(server)["orthanc_logged_errors_count"] == before + 1


def test_a_server_may_be_started_without_figures(tmp_path: Path) -> None:
    with running(tmp_path, {"MetricsEnabled": False}) as server:
        assert server.request("GET", "/tools/metrics-prometheus") == (200, b"")


@pytest.mark.parametrize(("after", "largest"), [(0, 9), (5, 9), (9.5, 3), (20, 0)])
def test_peaks_are_those_of_the_last_ten_seconds(after: float, largest: float) -> None:
    now = [100.9]
    metrics = Metrics(lambda: now[0])
    metrics.peak("a", 9)
    metrics.peak("a", 4)
    now[0] = 103
    metrics.peak("a", 3)
    now[0] = 101 + after
    assert metrics.largest("a") == largest
