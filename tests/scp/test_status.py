import pytest

from hounsfield import errors
from hounsfield.dicom.identifiers import MissingTag
from hounsfield.errors import ArchiveError
from hounsfield.ingest.c_store import DataSetMismatch
from hounsfield.scp.status import store_status

EXPECTED: dict[type[ArchiveError], int] = {
    errors.Corrupt: 0xC000,
    errors.StorageFull: 0xA700,
    MissingTag: 0xA700,
    DataSetMismatch: 0xA900,
}
TEN = [
    error for error in vars(errors).values() if isinstance(error, type) and ArchiveError in error.__bases__
]


@pytest.mark.parametrize("error", [*TEN, MissingTag, DataSetMismatch])
def test_every_error_is_a_failure_of_the_storage_service(error: type[ArchiveError]) -> None:
    assert store_status(error("something")) == EXPECTED.get(error, 0xA700)


def test_there_are_ten_errors() -> None:
    assert len([error for error in TEN if error.__base__ is ArchiveError]) == 10
