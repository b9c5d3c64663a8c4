"""Every error has an answer at every door, and a code that a client of Orthanc knows."""

import importlib
import pkgutil
from http import HTTPStatus

import hounsfield
from hounsfield import errors
from hounsfield.http.status import INTERNAL, STATUSES, status_of
from hounsfield.scp.status import store_status

_TEN = {
    "NotFound",
    "BadRequest",
    "Conflict",
    "Refused",
    "Unsupported",
    "Corrupt",
    "StorageFull",
    "PeerFailure",
    "TimedOut",
    "Cancelled",
}
# PS3.7 Annex C and PS3.4 Table B.2-1: failures of C-STORE are A7xx, A9xx, Cxxx, and those of any operation.
_FAILURES = (range(0xA700, 0xA800), range(0xA900, 0xAA00), range(0xC000, 0xD000), range(0x0100, 0x0220))


def _all_errors() -> list[type[errors.ArchiveError]]:
    """Every class of error, in every module."""
    for module in pkgutil.walk_packages(hounsfield.__path__, "hounsfield."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, waiting = [], [errors.ArchiveError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += [each for each in kind.__subclasses__() if each.__module__.startswith("hounsfield.")]
    return found


def test_the_root_has_ten_children() -> None:
    assert {kind.__name__ for kind in errors.ArchiveError.__subclasses__()} == _TEN


def test_every_error_has_an_http_status() -> None:
    for kind in _all_errors():
        if kind is errors.ArchiveError:
            continue
        status = status_of(kind("some text"))
        assert status is not INTERNAL, kind
        assert HTTPStatus(status.http) >= HTTPStatus.BAD_REQUEST, kind
        assert status.code > 0, kind
        assert status.text, kind


def test_every_error_of_http_has_a_line_of_its_own() -> None:
    own = {kind for kind in _all_errors() if kind.__module__ == "hounsfield.http.errors"}
    assert own - set(STATUSES) == set()


def test_every_error_has_a_dimse_status() -> None:
    for kind in _all_errors():
        status = store_status(kind("some text"))
        assert any(status in failures for failures in _FAILURES), kind


def test_every_error_says_what_it_means() -> None:
    assert [kind.__name__ for kind in _all_errors() if not kind.__doc__] == []
