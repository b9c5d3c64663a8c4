"""What splitting and merging of studies have in common: instances that are made anew in another study."""

from collections.abc import Iterator, Mapping, Sequence

from hounsfield.deid.references import map_references
from hounsfield.deid.uid_map import UidMap
from hounsfield.dicom.identifiers import identify
from hounsfield.dicom.mutable import MutableDataset
from hounsfield.dicom.part10 import Head
from hounsfield.dicom.tags import SERIES_INSTANCE_UID, SOP_INSTANCE_UID
from hounsfield.index.metadata import MetadataType
from hounsfield.ingest.instance import Origin
from hounsfield.jobs.kinds import JobRun
from hounsfield.jobs.rewriting import Change, Made, Workshop, delete_originals, rewrite, rewrite_all


def renumber(head: Head, dataset: MutableDataset, uids: UidMap, moved: Mapping[str, str]) -> None:
    """Give an instance and its series new UIDs, and let it refer to what `moved` by the new ones."""
    own = identify(head.dataset)
    dataset.set_text(SERIES_INSTANCE_UID, uids.uid(own.series_instance_uid))
    dataset.set_text(SOP_INSTANCE_UID, uids.uid(own.sop_instance_uid))
    map_references(dataset, moved)


def remake(
    run: JobRun,
    workshop: Workshop,
    instances: Sequence[str],
    origin: Origin,
    change: Change,
    *,
    keeps_source: bool,
) -> Iterator[None]:
    """Make all instances anew, changed, and delete the originals if they are not to be kept.

    Raises
    ------
    ArchiveError
        What the first instance failed with; originals are untouched.
    """

    def one(public_id: str) -> Made:
        return rewrite(workshop, origin, public_id, change, MetadataType.MODIFIED_FROM)

    yield from rewrite_all(run, workshop, instances, one)
    if not keeps_source:
        yield from delete_originals(run, workshop, instances)
    run.progress = 1.0
