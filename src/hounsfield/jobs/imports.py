"""Taking in uploads that are complete: a file at once, a ZIP archive in a job, with a result for each of its files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

import orjson

from hounsfield.errors import ArchiveError, NotFound, StorageFull
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Intake, Receipt
from hounsfield.ingest.resumable import Resumable, ResumableUploads, UploadState
from hounsfield.ingest.upload import EntryResult, UploadOptions, upload, upload_zip
from hounsfield.ingest.zip_reader import MAGICS
from hounsfield.jobs.engine import Engine
from hounsfield.jobs.kinds import JobKind, JobRun, TryAgain

UPLOAD_IMPORT = "UploadImport"
_GZIP_MAGIC = b"\x1f\x8b"
_ELSEWHERE_SECONDS = 5.0
_SKIPPED, _FAILURE = "Skipped", "Failure"


@dataclass(frozen=True, slots=True)
class Importer:
    """What takes in uploads."""

    intake: Intake
    options: UploadOptions
    uploads: ResumableUploads

    def kind(self) -> JobKind:
        """The kind of jobs that take in ZIP archives."""
        return JobKind(UPLOAD_IMPORT, partial(_import_zip, self))


def take_in(importer: Importer, engine: Engine, complete: Resumable) -> Resumable:
    """Take in an upload that is complete, or submit the job that does; what it has become."""
    uploads = importer.uploads
    try:
        with uploads.data(complete.id).open("rb") as file:
            start = file.read(4)
    except FileNotFoundError:  # It was taken in before.
        return complete
    if start in MAGICS:
        waiting = uploads.save(replace(complete, state=UploadState.IMPORTING, problem=""))
        engine.submit(UPLOAD_IMPORT, {"Upload": complete.id})
        return waiting
    return _import_file(importer, complete, is_gzip=start[:2] == _GZIP_MAGIC)


def _import_file(importer: Importer, complete: Resumable, *, is_gzip: bool) -> Resumable:
    uploads = importer.uploads
    content = uploads.content(complete.id)
    try:
        found = upload(importer.intake, importer.options, _origin(complete), content, is_gzip=is_gzip)
    except StorageFull as error:  # The bytes stay: there may be room later.
        return uploads.save(replace(complete, state=UploadState.FAILURE, problem=str(error)))
    except ArchiveError as error:
        content.close()
        with uploads.results(complete.id).open("wb") as results:
            _write(results, EntryResult(0, "", None, str(error)))
        return uploads.save(replace(complete, state=UploadState.FAILURE, problem=str(error)))
    content.close()
    with uploads.results(complete.id).open("wb") as results:
        for number, each in enumerate([found] if isinstance(found, Receipt) else found):
            _write(results, EntryResult(number, "", each))
    return uploads.save(replace(complete, state=UploadState.SUCCESS, problem=""))


def _import_zip(importer: Importer, run: JobRun) -> Iterator[None]:
    """The job: entry by entry, from the one after the last that was told."""
    uploads, upload_id = importer.uploads, str(run.parameters["Upload"])
    try:
        complete = uploads.find(upload_id)
    except NotFound as cause:  # Another node may have it.
        raise TryAgain("The upload is not on this server", _ELSEWHERE_SECONDS) from cause
    complete = uploads.save(replace(complete, state=UploadState.IMPORTING, job_id=run.id))
    run.content["Upload"] = upload_id
    try:
        with (
            uploads.data(upload_id).open("rb") as archive,
            _reopened(uploads.results(upload_id), run) as told,
        ):
            yield from _import_entries(importer, complete, archive, told, run)
    except FileNotFoundError as cause:
        raise NotFound("The bytes of the upload are gone") from cause
    except ArchiveError as error:
        uploads.save(replace(complete, state=UploadState.FAILURE, problem=str(error)))
        raise
    uploads.save(replace(complete, state=UploadState.SUCCESS, problem=""))
    uploads.drop_content(upload_id)


def _import_entries(
    importer: Importer, complete: Resumable, archive: IO[bytes], told: IO[bytes], run: JobRun
) -> Iterator[None]:
    counts = {name: int(str(run.content.get(name, 0))) for name in ("InstancesCount", "FailedInstancesCount")}
    origin, start = _origin(complete), int(str(run.state.get("Next", 0)))
    for result in upload_zip(importer.intake, importer.options, origin, archive, start=start):
        _write(told, result)
        told.flush()
        counts["InstancesCount"] += result.receipt is not None
        counts["FailedInstancesCount"] += bool(result.problem)
        run.content.update(counts)
        run.state.update(Next=result.number + 1, ResultsSize=told.tell())
        run.progress = archive.tell() / (complete.length or 1)
        yield


def _reopened(path: Path, run: JobRun) -> IO[bytes]:
    """The file of results, without what was told after the state of the job was saved."""
    path.touch(mode=0o600)
    file = path.open("r+b")
    file.truncate(int(str(run.state.get("ResultsSize", 0))))
    file.seek(0, 2)
    return file


def _write(results: IO[bytes], result: EntryResult) -> None:
    """A result as a line of JSON."""
    told: dict[str, object] = {"Name": result.name, "Status": _FAILURE if result.problem else _SKIPPED}
    if result.problem:
        told["Problem"] = result.problem
    if result.receipt is not None:
        patient, study, series, instance = result.receipt.identifiers.public_ids()
        told.update(
            Status=result.receipt.outcome.value,
            ID=instance,
            Path=f"/instances/{instance}",
            ParentPatient=patient,
            ParentStudy=study,
            ParentSeries=series,
        )
    results.write(orjson.dumps(told) + b"\n")


def _origin(complete: Resumable) -> Origin:
    return Origin(OriginKind.REST_API, remote_ip=complete.remote_ip, http_username=complete.username)
