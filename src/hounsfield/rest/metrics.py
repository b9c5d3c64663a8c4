"""Figures for those who watch the server: `/tools/metrics` and, in the format of Prometheus, all of them.

The format is https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterator
from functools import partial

from hounsfield.http.messages import EMPTY_TEXT, Request, Response, answer_bytes, answer_text
from hounsfield.http.routing import Route
from hounsfield.index.changes import last_change
from hounsfield.index.jobs import JobState, count_jobs
from hounsfield.index.statistics import totals
from hounsfield.rest import forwarding
from hounsfield.rest.door import Door
from hounsfield.rest.switches import boolean_body

_MEGABYTE = 1024 * 1024
_PEAKS = (
    "orthanc_rest_api_duration_ms",
    "orthanc_rest_api_active_requests",
    "orthanc_find_scp_duration_ms",
    "orthanc_move_scp_duration_ms",
    "orthanc_get_scp_duration_ms",
    "orthanc_store_dicom_duration_ms",
    "orthanc_storage_create_duration_ms",
    "orthanc_storage_read_duration_ms",
    "orthanc_storage_remove_duration_ms",
)
_SUMS = (
    "orthanc_storage_read_bytes",
    "orthanc_storage_written_bytes",
    "orthanc_transfers_created_push_count",
    "orthanc_transfers_committed_push_count",
    "orthanc_transfers_aborted_push_count",
    "orthanc_transfers_push_total_received_bytes_count",
)
# What Orthanc keeps in memory for each of these. We keep answers made from files, in the place of parsed files.
_KEEPERS = ("storage", "dicom_parser", "transcoder")
_KEPT = ("cache_count", "cache_size_mb", "cache_hit_count", "cache_miss_count", "memory_capacity_mb",
         "memory_count", "memory_usage_mb", "memory_max_usage_mb")  # fmt: skip
_THREADS = {
    "orthanc_storage_available_threads": "StorageLoaderThreadsCount",
    "orthanc_dicom_parser_available_threads": "DicomParserThreadsCount",
    "orthanc_transcoder_available_threads": "TranscoderThreadsCount",
    "orthanc_sequential_reader_available_threads": "SequentialDicomReaderThreadsCount",
}
_PROMETHEUS_TYPE = "text/plain; version=0.0.4"


def routes(door: Door) -> list[Route]:
    """The routes of the figures."""
    return [
        Route("GET", "/tools/metrics", partial(get_metrics, door)),
        Route("PUT", "/tools/metrics", partial(set_metrics, door)),
        Route("GET", "/tools/metrics-prometheus", partial(get_prometheus, door)),
    ]


def get_metrics(door: Door, _request: Request) -> Response:
    """Whether figures about the server are gathered: `0` or `1`."""
    return answer_text(str(int(door.intake.metrics.is_enabled)))


def set_metrics(door: Door, request: Request) -> Response:
    """Change whether figures about the server are gathered."""
    door.intake.metrics.is_enabled = boolean_body(request)
    return EMPTY_TEXT


def get_prometheus(door: Door, _request: Request) -> Response:
    """Figures about the server, in the format of Prometheus; nothing while they are not gathered."""
    if not door.intake.metrics.is_enabled:
        return answer_bytes(b"", _PROMETHEUS_TYPE)
    now_ms = door.intake.clock_ns() // 1_000_000
    lines = (f"{name} {_number(value)} {now_ms}\n" for name, value in sorted(figures(door)))
    return answer_bytes("".join(lines).encode(), _PROMETHEUS_TYPE)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))


def figures(door: Door) -> Iterator[tuple[str, float]]:
    """All figures, by the names of Orthanc."""
    metrics = door.intake.metrics
    yield from _of_the_index(door)
    yield from ((name, metrics.largest(name)) for name in _PEAKS)
    yield from ((name, metrics.sum(name)) for name in _SUMS)
    yield "orthanc_up_time_s", int(metrics.age_seconds())
    yield "orthanc_logged_errors_count", metrics.logged.errors
    yield "orthanc_logged_warnings_count", metrics.logged.warnings
    yield "orthanc_memory_trimming_duration_ms", 0
    yield from _of_threads(door)
    yield from _of_memory(door)


def _of_the_index(door: Door) -> Iterator[tuple[str, float]]:
    with door.archive.database.read() as tx:
        found, jobs, change = totals(tx), count_jobs(tx), last_change(tx)
        queues = list(forwarding.figures(tx))
    yield from queues
    yield "orthanc_count_patients", found.patients
    yield "orthanc_count_studies", found.studies
    yield "orthanc_count_series", found.series
    yield "orthanc_count_instances", found.instances
    yield "orthanc_disk_size_mb", found.stored_size / _MEGABYTE
    yield "orthanc_uncompressed_size_mb", found.size / _MEGABYTE
    yield "orthanc_last_change", change
    if door.archive.database.is_elsewhere:
        yield "orthanc_index_active_connections", door.archive.database.count_active()
    success, failed = jobs.get(JobState.SUCCESS, 0), jobs.get(JobState.FAILURE, 0)
    yield "orthanc_jobs_pending", jobs.get(JobState.PENDING, 0)
    yield "orthanc_jobs_running", jobs.get(JobState.RUNNING, 0)
    yield "orthanc_jobs_total_completed", success + failed
    yield "orthanc_jobs_total_success", success
    yield "orthanc_jobs_total_failed", failed


def _of_threads(door: Door) -> Iterator[tuple[str, float]]:
    metrics, numbers = door.intake.metrics, door.options.performance
    for name, option, active in (
        ("orthanc_available_http_threads_count", "HttpThreadsCount", "orthanc_rest_api_active_requests"),
        ("orthanc_available_dicom_threads", "DicomThreadsCount", "orthanc_dicom_active_requests"),
    ):
        yield name, max(0, numbers.get(option, 0) - metrics.active(active))
    yield from ((name, numbers.get(option, 0)) for name, option in _THREADS.items())


def _of_memory(door: Door) -> Iterator[tuple[str, float]]:
    count, size, hits, misses = door.cache.figures()
    size_mb, capacity_mb = size / _MEGABYTE, door.options.cached_answers_bytes / _MEGABYTE
    answers = (count, size_mb, hits, misses, capacity_mb, count, size_mb, size_mb)
    for keeper in _KEEPERS:
        values = answers if keeper == "dicom_parser" else (0,) * len(_KEPT)
        for name, value in zip(_KEPT, values, strict=True):
            yield f"orthanc_{keeper}_{name}", value
