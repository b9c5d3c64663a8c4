"""The jobs that make ZIP archives: of folders that people find their way in, or of a medium with a DICOMDIR."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hounsfield.archive import Archive
from hounsfield.dicom.levels import Level
from hounsfield.errors import StorageFull
from hounsfield.jobs.kinds import JobKind, JobOutput, JobRun
from hounsfield.retrieve.archives import plan
from hounsfield.retrieve.packing import Packing, PackingOptions, Recipe, Transcoder, archive_pieces
from hounsfield.store.spool import Spool, SpoolFile

ARCHIVE, MEDIA = "Archive", "Media"
OUTPUT = "archive"
_MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class ArchiveRequest:
    """What archive is wanted, of which resources. `lossy_quality` is None for the server's own."""

    resources: tuple[tuple[Level, str], ...]
    filename: str
    is_media: bool = False
    is_extended: bool = False
    is_utf8: bool = False
    transcode: str = ""
    lossy_quality: int | None = None

    @property
    def kind(self) -> str:
        """The name of the kind of job that makes it."""
        return MEDIA if self.is_media else ARCHIVE

    def parameters(self) -> dict[str, object]:
        """As parameters of a job."""
        return {
            "Resources": [[int(level), public_id] for level, public_id in self.resources],
            "Filename": self.filename,
            "Extended": self.is_extended,
            "Utf8": self.is_utf8,
            "Transcode": self.transcode,
            "LossyQuality": self.lossy_quality,
        }


@dataclass(frozen=True, slots=True)
class ArchiveMaker:
    """What these jobs work with. `transcoder` makes a transcoder to a transfer syntax at a quality."""

    archive: Archive
    spool: Spool
    transcoder: Callable[[str, int], Transcoder]
    packing: PackingOptions = field(default_factory=PackingOptions)
    lossy_quality: int = 90

    def kinds(self) -> list[JobKind]:
        """The kinds of jobs."""
        return [
            JobKind(name, partial(_run, self, name == MEDIA), is_saved=False, is_resubmittable=False)
            for name in (ARCHIVE, MEDIA)
        ]


def make_archive(maker: ArchiveMaker, request: ArchiveRequest, run: JobRun) -> Iterator[bytes]:
    """The bytes of an archive, as they are made; the job tells how far it is."""
    planned = plan(maker.archive, request.resources, is_utf8=request.is_utf8)
    packing = Packing()
    quality = maker.lossy_quality if request.lossy_quality is None else request.lossy_quality
    transcode = maker.transcoder(request.transcode, quality) if request.transcode else None
    recipe = Recipe(request.is_media, request.is_extended, transcode)
    run.content.update(
        InstancesCount=planned.count, Utf8=request.is_utf8, **_sizes("Uncompressed", planned.size)
    )
    if request.transcode:
        run.content.update(Transcode=request.transcode, LossyQuality=quality)
    for piece in archive_pieces(maker.archive, planned, recipe, maker.packing, packing):
        yield piece
        run.content.update(_sizes("Archive", packing.archive_size))
        run.progress = packing.size / planned.size if planned.size else 1.0
    # What was deleted before its turn came is missing too, unless as much came in meanwhile.
    missing = max(len(packing.left_out), planned.count - packing.count)
    if missing:
        run.content["FailedInstancesCount"] = missing
    run.content.update(_sizes("Archive", packing.archive_size))


def _sizes(name: str, size: int) -> dict[str, object]:
    return {f"{name}Size": str(size), f"{name}SizeMB": size // _MEGABYTE}


def _run(maker: ArchiveMaker, is_media: bool, run: JobRun) -> Iterator[None]:
    """Make an archive in the spool, as an output of the job."""
    request = _read_request(is_media, run.parameters)
    file = maker.spool.create()
    try:
        for piece in make_archive(maker, request, run):
            _write(file, piece)
            yield
        run.outputs[OUTPUT] = JobOutput(file, "application/zip", request.filename)
    finally:
        if OUTPUT not in run.outputs:
            file.close()


def _write(file: SpoolFile, piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as cause:
        raise StorageFull("There is no room for the archive") from cause


def _read_request(is_media: bool, parameters: dict[str, Any]) -> ArchiveRequest:
    return ArchiveRequest(
        tuple((Level(level), public_id) for level, public_id in parameters["Resources"]),
        parameters["Filename"],
        is_media,
        parameters["Extended"],
        parameters["Utf8"],
        parameters["Transcode"],
        parameters["LossyQuality"],
    )
