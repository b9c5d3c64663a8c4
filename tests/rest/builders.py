"""A server in a folder, asked without sockets."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from tests.databases import chosen_database

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import Identifiers, PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS
from hounsfield.events import EventBus
from hounsfield.host import Host
from hounsfield.http.bodies import read_whole
from hounsfield.http.dispatch import Dispatcher, dispatch
from hounsfield.http.messages import FileBody, Request, Response
from hounsfield.http.routing import Router
from hounsfield.index.insertion import find_main_tags_version
from hounsfield.ingest.intake import Filter, IngestOptions, Intake
from hounsfield.ingest.resumable import ResumableOptions, ResumableUploads
from hounsfield.ingest.settling import Settling
from hounsfield.ingest.upload import UploadOptions
from hounsfield.jobs.archives import ArchiveMaker
from hounsfield.jobs.engine import Engine
from hounsfield.jobs.imports import UPLOAD_IMPORT, Importer
from hounsfield.jobs.kinds import JobKind
from hounsfield.jobs.ledger import EngineOptions
from hounsfield.rest import resumable_uploads
from hounsfield.rest.door import Door, RestOptions
from hounsfield.rest.extension import extend
from hounsfield.rest.resumable_uploads import UploadDesk
from hounsfield.retrieve.datasets import BytesCache
from hounsfield.retrieve.packing import transcoder
from hounsfield.retrieve.volume_cache import VolumeCache
from hounsfield.store.filesystem import FilesystemArea


class Server:
    """Everything behind the doors, and a way to ask."""

    def __init__(
        self, folder: Path, options: RestOptions, ingest: IngestOptions, jobs: EngineOptions | None = None
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.database = chosen_database(folder)
        self.area = FilesystemArea(folder / "files", sync=False)
        self.archive = Archive(self.database, self.area, EventBus())
        self.settling = Settling(self.archive)
        patient, study, series, instance = (DEFAULT_MAIN_TAGS.signature(level) for level in Level)
        version = self.database.write(
            lambda tx: find_main_tags_version(tx, (patient, study, series, instance))
        )
        filters: list[Filter] = []
        intake = Intake(self.archive, ingest, version, self.settling, filters=filters)
        kinds: dict[str, JobKind] = {}
        self.engine = Engine(self.archive, kinds, jobs)
        resumable = ResumableOptions(folder / "files" / ".hounsfield" / "uploads", is_synced=False)
        uploads = UploadOptions(self.area.spool, resumable=resumable)
        self.host = Host(self.archive, intake, uploads, self.engine, kinds, filters=filters)
        extend(self.host, options)
        cache = BytesCache(options.cached_answers_bytes)
        maker = ArchiveMaker(self.archive, self.area.spool, transcoder)
        volumes = VolumeCache(self.archive, options.volumes_bytes)
        self.door = Door(
            self.archive,
            intake,
            self.host.uploads,
            options,
            cache,
            self.engine,
            maker,
            volumes,
        )
        self.imports = Importer(intake, uploads, ResumableUploads(resumable))
        self.host.job_kinds[UPLOAD_IMPORT] = self.imports.kind()
        self.host.routes.extend(resumable_uploads.routes(UploadDesk(self.imports, self.engine)))
        self.engine.start()
        self.dispatcher = Dispatcher(Router(self.host.routes))

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
        path, _, query = target.partition("?")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return dispatch(self.dispatcher, Request(method, path, query, named, body))

    def bytes_of(self, method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
        """The bytes that are answered."""
        answered = self.ask(method, target, body, **headers).body
        if isinstance(answered, FileBody):
            return read_whole(answered)
        assert isinstance(answered, bytes)
        return answered

    def get(self, target: str, **headers: str) -> Any:
        """The JSON of a GET that succeeds."""
        return self._json(self.ask("GET", target, b"", **headers), target)

    def post(self, target: str, body: object, **headers: str) -> Any:
        """The JSON of a POST that succeeds; bytes are sent as they are."""
        sent = body if isinstance(body, bytes) else orjson.dumps(body)
        return self._json(self.ask("POST", target, sent, **headers), target)

    def failure(self, method: str, target: str, body: object = b"", **headers: str) -> tuple[int, int | None]:
        """The status and the code of a failure; no code if it has no body."""
        sent = body if isinstance(body, bytes) else orjson.dumps(body)
        response = self.ask(method, target, sent, **headers)
        assert isinstance(response.body, bytes)
        return response.status, orjson.loads(response.body)["OrthancStatus"] if response.body else None

    def _json(self, response: Response, target: str) -> Any:
        assert response.status == 200, (target, response.status, response.body)
        assert isinstance(response.body, bytes)
        return orjson.loads(response.body)

    def close(self) -> None:
        self.engine.stop()
        self.settling.stop()
        self.area.close()
        self.database.close()


class Builder:
    """Makes servers, and stops them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built: list[Server] = []

    def __call__(
        self,
        options: RestOptions | None = None,
        ingest: IngestOptions | None = None,
        jobs: EngineOptions | None = None,
    ) -> Server:
        options, ingest = options or RestOptions(), ingest or IngestOptions()
        folder = self._folder / str(len(self._built))
        self._built.append(Server(folder, options, replace(ingest, is_read_only=options.is_read_only), jobs))
        return self._built[-1]

    def close(self) -> None:
        for server in self._built:
            server.close()


def slice_file(
    patient: str = "P1",
    study: str = "1.1",
    series: str = "1.1.1",
    instance: str = "1.1.1.1",
    **attributes: Any,
) -> bytes:
    """A small CT slice with 2 x 2 pixels; an attribute that is None is left out."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(instance)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, instance
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.PatientID, dataset.PatientName = patient, "DOE^" + patient
    dataset.Modality, dataset.StudyDate = "CT", "20200102"
    dataset.Rows = dataset.Columns = 2
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = b"\0\0\x10\0\x20\0\x30\0"
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def ids(
    patient: str = "P1", study: str = "1.1", series: str = "1.1.1", instance: str = "1.1.1.1"
) -> list[PublicId]:
    """The public ids of patient, study, series and instance."""
    return list(Identifiers(patient, study, series, instance).public_ids())


def real_file(name: str) -> bytes:
    path = get_testdata_file(name)
    assert isinstance(path, str), name
    return Path(path).read_bytes()
