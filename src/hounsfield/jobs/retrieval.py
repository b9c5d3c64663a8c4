"""What the jobs that fetch from a modality share: their parameters, and what they tell."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hounsfield.dicom.keys import Keys, full_names, keys_of_names, short_names, simple_names
from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, PeerFailure
from hounsfield.jobs.kinds import JobRun
from hounsfield.jobs.store_scu import dimse_payload, modality_parameter
from hounsfield.net.messages import is_pending
from hounsfield.remote.dialing import DimseFailure, dimse_failure
from hounsfield.remote.finder import LEVEL_NAMES, QUERY_RETRIEVE_LEVEL
from hounsfield.remote.modality import Modality
from hounsfield.remote.retriever import Progress

_SUCCESSES = (0x0000, 0xB000)
_FORMATS = {"Short": short_names, "Full": full_names, "Simplify": simple_names}
_LEVELS = {level.word: level for level in Level}


def retrieve_parameters(
    modality: Modality,
    ae_title: str,
    level: Level,
    queries: Sequence[Keys],
    *,
    target_ae_title: str | None = None,
    timeout_seconds: float | None = None,
    query_format: str = "Short",
    sop_classes: Sequence[str] = (),
) -> dict[str, object]:
    """The parameters of a job.

    `target_ae_title` is who is to get the instances of a C-MOVE; `sop_classes` are those of each query, for C-GET.
    """
    parameters: dict[str, object] = {
        "Modality": modality_parameter(modality),
        "LocalAet": ae_title,
        "Level": level.word,
        "Queries": [short_names({**keys, QUERY_RETRIEVE_LEVEL: LEVEL_NAMES[level]}) for keys in queries],
        "QueryFormat": query_format,
    }
    if sop_classes:
        parameters["SopClasses"] = list(sop_classes)
    if target_ae_title is not None:
        parameters["TargetAet"] = target_ae_title
    if timeout_seconds is not None:
        parameters["Timeout"] = timeout_seconds
    return parameters


def level_of(parameters: Mapping[str, Any]) -> Level:
    """The level of the retrieval."""
    return _LEVELS[parameters["Level"]]


class Retrieval:
    """How far a retrieval is: its queries one after the other, and what became of each."""

    def __init__(self, run: JobRun) -> None:
        parameters: dict[str, Any] = run.parameters
        self.run = run
        self.queries: list[dict[str, Any]] = parameters["Queries"]
        self.ae_title: str = parameters["Modality"]["AET"]
        self.details: list[dict[str, Any]] = run.state.setdefault("Details", [])  # type: ignore[assignment]
        write = _FORMATS[parameters["QueryFormat"]]
        run.content["LocalAet"] = parameters["LocalAet"]
        run.content["RemoteAet"] = self.ae_title
        if "TargetAet" in parameters:
            run.content["TargetAet"] = parameters["TargetAet"]
        run.content["Query"] = [write(keys_of_names(query)) for query in self.queries]
        run.content["Details"] = self.details

    def remaining(self) -> Iterator[Keys]:
        """The queries not yet dealt with."""
        for query in self.queries[len(self.details) :]:
            yield keys_of_names(query)

    @property
    def sop_classes(self) -> str:
        """The SOP classes of the query at work, if they are known."""
        known = self.run.parameters.get("SopClasses")
        return str(known[len(self.details)]) if isinstance(known, list) else ""

    def follow(self, service: str, steps: Iterator[Progress], received: Iterable[str]) -> Iterator[None]:
        """Follow the query at work to its end; `received` are the instances that have come in for it.

        Raises
        ------
        ArchiveError
            As `fail`; DimseFailure if the modality says that the service failed.
        """
        done = len(self.details)
        try:
            for progress in steps:
                if is_pending(progress.status):
                    self.run.progress = (done + progress.done) / len(self.queries)
                    yield
                elif progress.status not in _SUCCESSES:
                    raise dimse_failure(service, self.ae_title, progress.status)
                else:
                    final = progress.status
        except ArchiveError as error:
            self.fail(error, list(received))
        else:
            self.note(final, list(received))

    def note(self, status: int, received: Sequence[str]) -> None:
        """A query is dealt with."""
        self.details.append(
            {
                "Query": self.queries[len(self.details)],
                "DimseErrorStatus": status,
                "ReceivedInstancesIds": list(received),
            }
        )
        self.run.progress = len(self.details) / len(self.queries)

    def fail(self, error: ArchiveError, received: Sequence[str]) -> None:
        """A query failed: it is noted, and the job fails unless it is permissive."""
        self.note(error.status if isinstance(error, DimseFailure) else 0, received)
        if isinstance(error, PeerFailure):
            self.run.error_payload = dimse_payload(error)
        if not self.run.is_permissive:
            raise error
