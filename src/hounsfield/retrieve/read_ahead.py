"""Reading files one after the other, each while the one before it is being used."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from hounsfield.archive import Archive
from hounsfield.index.attachments import Attachment
from hounsfield.retrieve.files import map_attachment
from hounsfield.store.spool import Buffer


def read_ahead(archive: Archive, attachments: Sequence[Attachment]) -> Iterator[Callable[[], Buffer]]:
    """A function for each attachment that gives its bytes, or raises what reading it raised, as `map_attachment`.

    One file is read ahead, on a thread that lives as long as the iterator.
    """
    with ThreadPoolExecutor(1, "READ-AHEAD") as pool:
        read = partial(map_attachment, archive)
        coming: Future[Buffer] | None = None
        for place, attachment in enumerate(attachments):
            current = coming or pool.submit(read, attachment)
            following = attachments[place + 1 : place + 2]
            coming = pool.submit(read, following[0]) if following else None
            yield current.result
