"""Buckets that a transfer fetched, kept on disk so that a restart of the server does not lose them.

A folder a job; in it a file a bucket, under its number. One that is shorter than its bucket was cut off, and is fetched
again. Nothing is synchronised: what a power cut made of a file shows by the MD5 of its instances.
"""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from hounsfield.archive import Archive
from hounsfield.index.jobs import job_ids
from hounsfield.remote.transfer import Bucket, bucket_length
from hounsfield.store.spool import SpoolFile


@dataclass(frozen=True, slots=True)
class KeptBuckets:
    """The buckets of one job."""

    folder: Path

    def create(self, index: int) -> SpoolFile:
        """A new file for a bucket."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / str(index)
        path.unlink(missing_ok=True)
        return SpoolFile(path)

    def found(self, buckets: Sequence[Bucket]) -> dict[int, SpoolFile]:
        """Those that are whole, by their numbers."""
        whole: dict[int, SpoolFile] = {}
        for index, bucket in enumerate(buckets):
            path = self.folder / str(index)
            if path.is_file() and path.stat().st_size == bucket_length(bucket):
                whole[index] = SpoolFile(path, is_new=False)
        return whole

    def clear(self) -> None:
        """Delete all."""
        shutil.rmtree(self.folder, ignore_errors=True)


def clear_forgotten(folder: Path, archive: Archive) -> None:
    """Delete what belongs to jobs that are not remembered any more; to be called before any job runs."""
    if not folder.is_dir():
        return
    with archive.database.read() as tx:
        known: Collection[str] = set(job_ids(tx))
    for each in folder.iterdir():
        if each.name not in known:
            KeptBuckets(each).clear()
