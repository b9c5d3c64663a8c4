"""The attributes of one module of a resource, read from one of its instances. PS3.3 C.7 and C.12."""

from functools import partial

from hounsfield.dicom.levels import Level
from hounsfield.dicom.modules import MODULES
from hounsfield.http.messages import Request, Response, answer_json
from hounsfield.http.routing import Route
from hounsfield.index.resources import first_instance
from hounsfield.rest.door import Door
from hounsfield.rest.formats import TagFormat, format_of, ignored_lengths, write_dataset
from hounsfield.retrieve.datasets import read_instance


def routes(door: Door) -> list[Route]:
    """The module of each level, and the patient's of a study."""
    found = [
        Route("GET", f"/{level.plural}/{{id}}/module", partial(get_module, door, level, level))
        for level in Level
    ]
    patient = partial(get_module, door, Level.STUDY, Level.PATIENT)
    return [*found, Route("GET", "/studies/{id}/module-patient", patient)]


def get_module(door: Door, level: Level, module: Level, request: Request) -> Response:
    """The attributes that describe the patient, the study, the series or the instance itself."""
    with door.archive.database.read() as tx:
        instance = first_instance(tx, level, request.values["id"])
    head = read_instance(door.archive, instance, default_encoding=door.options.default_encoding)
    chosen, ignored = format_of(request, TagFormat.FULL), ignored_lengths(request)
    present = tuple(tag for tag in MODULES[module] if tag in head.dataset)
    return answer_json(write_dataset(head.dataset, chosen, ignored, present))
