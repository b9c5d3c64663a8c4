"""The attributes of all instances below a resource: of each, and those they share."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from hounsfield.dicom import json
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.http.messages import Request, Response, answer_json
from hounsfield.http.routing import Route
from hounsfield.index.paging import pages
from hounsfield.index.resources import children
from hounsfield.rest.door import Door
from hounsfield.rest.formats import TagFormat, convert_full, format_of, ignored_lengths, write_dataset
from hounsfield.retrieve.headers import read_headers


def routes(door: Door) -> list[Route]:
    """The routes of patients, studies and series."""
    found = []
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        path = f"/{level.plural}/{{id}}"
        found += [
            Route("GET", path + "/instances-tags", partial(get_instances_tags, door, level)),
            Route("GET", path + "/shared-tags", partial(get_shared_tags, door, level)),
        ]
    return found


def get_instances_tags(door: Door, level: Level, request: Request) -> Response:
    """The attributes of each instance, by its id."""
    chosen, ignored = format_of(request, TagFormat.FULL), ignored_lengths(request)
    return answer_json(
        {
            public_id: write_dataset(dataset, chosen, ignored)
            for public_id, dataset in _datasets(door, level, request.values["id"])
        }
    )


def get_shared_tags(door: Door, level: Level, request: Request) -> Response:
    """The attributes that are texts, and the same in every instance."""
    shared: dict[str, Any] | None = None
    for _, dataset in _datasets(door, level, request.values["id"]):
        full = json.full(dataset, ignore_length=ignored_lengths(request))
        if shared is None:
            shared = {key: entry for key, entry in full.items() if _is_text(entry)}
        else:
            shared = {key: entry for key, entry in shared.items() if full.get(key) == entry}
    return answer_json(convert_full(shared or {}, format_of(request, TagFormat.FULL)))


def _is_text(entry: Any) -> bool:
    return bool(entry["Type"] == "String")


def _datasets(door: Door, level: Level, public_id: str) -> Iterator[tuple[PublicId, Dataset]]:
    """The header of each instance below a resource; those deleted meanwhile are passed over."""
    with door.archive.database.read() as tx:
        instances = children(tx, level, public_id, Level.INSTANCE)
    for page in pages(instances):
        with door.archive.database.read() as tx:
            encoding = door.options.default_encoding
            found = list(read_headers(door.archive, tx, Level.INSTANCE, page, default_encoding=encoding))
        yield from found
