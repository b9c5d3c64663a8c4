"""How long DICOM requests take, for those who watch the server."""

import time
from dataclasses import replace
from functools import partial

from hounsfield.metrics import Metrics
from hounsfield.net.dimse import CommandField
from hounsfield.net.messages import Request, Responses, Service

ACTIVE = "orthanc_dicom_active_requests"
_NAMES = {
    CommandField.C_FIND_RQ: "orthanc_find_scp_duration_ms",
    CommandField.C_MOVE_RQ: "orthanc_move_scp_duration_ms",
    CommandField.C_GET_RQ: "orthanc_get_scp_duration_ms",
}


def measured(service: Service, metrics: Metrics) -> Service:
    """The same service, which tells how long its requests take."""
    name = next((_NAMES[field] for field in service.operations if field in _NAMES), None)
    if name is None:
        return service
    return replace(service, respond=partial(_respond, service, metrics, name))


def _respond(service: Service, metrics: Metrics, name: str, request: Request) -> Responses:
    return _timed(service.respond(request), metrics, name)


def _timed(responses: Responses, metrics: Metrics, name: str) -> Responses:
    started = time.perf_counter()
    metrics.begin(ACTIVE)
    try:
        yield from responses
    finally:
        metrics.end(ACTIVE)
        metrics.peak(name, (time.perf_counter() - started) * 1000)
