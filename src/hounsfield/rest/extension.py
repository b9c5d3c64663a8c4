"""The door as an extension: all its routes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from hounsfield.host import Host
from hounsfield.http.routing import Route
from hounsfield.ingest.resumable import ResumableOptions, ResumableUploads
from hounsfield.jobs.archives import ArchiveMaker
from hounsfield.jobs.imports import UPLOAD_IMPORT, Importer
from hounsfield.jobs.merge import merge_kind
from hounsfield.jobs.modify import modification_kind
from hounsfield.jobs.rewriting import Workshop
from hounsfield.jobs.split import split_kind
from hounsfield.remote.transfer import TransferOptions
from hounsfield.rest import (
    archives,
    attachments,
    audit_logs,
    changes,
    commitment,
    conformance,
    create,
    exports,
    file_export,
    find,
    forwarding,
    frames,
    hierarchy,
    jobs,
    labels,
    many_tags,
    metadata,
    metrics,
    modalities,
    modify,
    modules,
    openapi,
    peers,
    performed,
    queries,
    reconstruct,
    resumable_uploads,
    slices,
    split_merge,
    summaries,
    switches,
    system,
    tags,
    tools,
    transfers,
    uploads,
    volumes,
    worklists,
)
from hounsfield.rest.door import Door, RestOptions
from hounsfield.rest.errors import translated
from hounsfield.rest.neighbours import Neighbours
from hounsfield.rest.resumable_uploads import UploadDesk
from hounsfield.retrieve.datasets import BytesCache
from hounsfield.retrieve.packing import transcoder
from hounsfield.retrieve.volume_cache import VolumeCache
from hounsfield.worklist.performed import PerformedSteps

_MODULES = (
    system,
    hierarchy,
    uploads,
    tags,
    many_tags,
    frames,
    slices,
    metadata,
    labels,
    archives,
    attachments,
    audit_logs,
    changes,
    exports,
    file_export,
    find,
    tools,
    switches,
    metrics,
    jobs,
    modify,
    modules,
    split_merge,
    create,
    reconstruct,
    summaries,
    volumes,
)
# What a read-only server does not even know; other writes are answered by an error.
_WRITING = (
    ("POST", "/instances"),
    ("POST", "/tools/bulk-delete"),
    ("POST", "/tools/reconstruct"),
    *(("POST", f"/{level}/{{id}}/reconstruct") for level in ("patients", "studies", "series", "instances")),
    ("POST", "/tools/invalidate-tags"),
    *(("DELETE", f"/{level}/{{id}}") for level in ("patients", "studies", "series", "instances")),
    *(
        (method, f"/{level}/{{id}}/labels/{{label}}")
        for method in ("PUT", "DELETE")
        for level in ("patients", "studies", "series", "instances")
    ),
    ("PUT", "/patients/{id}/protected"),
    *(
        (method, f"/{level}/{{id}}/attachments/{{name}}{rest}")
        for method, rest in (("PUT", ""), ("DELETE", ""), ("POST", "/compress"), ("POST", "/uncompress"))
        for level in ("patients", "studies", "series", "instances")
    ),
)


def extend(host: Host, options: RestOptions) -> Door:
    """Add the REST interface to a host."""
    cache = BytesCache(options.cached_answers_bytes)
    workshop = Workshop(host.intake, lossy_quality=options.lossy_quality)
    for kind in (modification_kind(workshop), split_kind(workshop), merge_kind(workshop)):
        host.job_kinds[kind.name] = kind
    maker = ArchiveMaker(host.archive, host.uploads.spool, transcoder, options.packing, options.lossy_quality)
    host.job_kinds.update((kind.name, kind) for kind in maker.kinds())
    door = Door(
        host.archive,
        host.intake,
        host.uploads,
        options,
        cache,
        host.engine,
        maker,
        VolumeCache(host.archive, options.volumes_bytes),
        host.lifecycle,
    )
    host.routes.extend(routes(door))
    if host.uploads.resumable is not None and not options.is_read_only:
        _extend_to_resumable(host, host.uploads.resumable)
    host.routes.extend(conformance.routes(door, host.services))
    host.routes.extend(openapi.routes(host.routes))
    return door


def _extend_to_resumable(host: Host, options: ResumableOptions) -> None:
    """Add uploads that go on after a cut."""
    uploads = ResumableUploads(options)
    importer = Importer(host.intake, host.uploads, uploads)
    host.job_kinds[UPLOAD_IMPORT] = importer.kind()
    host.runs.append(partial(_running, uploads))
    found = resumable_uploads.routes(UploadDesk(importer, host.engine))
    host.routes.extend(replace(route, handler=translated(route.handler)) for route in found)


@contextmanager
def _running(uploads: ResumableUploads) -> Iterator[None]:
    uploads.start()
    try:
        yield
    finally:
        uploads.stop()


def extend_to_neighbours(
    host: Host, neighbours: Neighbours, queries_size: int, transfer: TransferOptions
) -> None:
    """Add the routes about other servers; so many queries are kept."""
    found = [
        *modalities.routes(neighbours),
        *queries.routes(neighbours, queries_size),
        *peers.routes(neighbours),
        *commitment.routes(neighbours),
        *transfers.routes(neighbours, transfer),
        *forwarding.routes(neighbours),
    ]
    host.routes.extend(replace(route, handler=translated(route.handler)) for route in found)


def extend_to_worklist(host: Host, desk: worklists.Desk) -> None:
    """Add the routes of the modality worklist."""
    host.routes.extend(replace(route, handler=translated(route.handler)) for route in worklists.routes(desk))


def extend_to_performed(host: Host, steps: PerformedSteps) -> None:
    """Add the routes of performed procedure steps."""
    found = performed.routes(host.archive.database, steps)
    host.routes.extend(replace(route, handler=translated(route.handler)) for route in found)


def routes(door: Door) -> list[Route]:
    """All routes that the options leave."""
    found = [
        replace(route, handler=translated(route.handler))
        for module in _MODULES
        for route in module.routes(door)
    ]
    if door.options.is_read_only:
        found = [route for route in found if (route.method, route.pattern) not in _WRITING]
    if not door.options.is_patient_level_enabled:
        found = [route for route in found if not route.pattern.startswith("/patients")]
    return found
