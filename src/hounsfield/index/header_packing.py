"""Packing the headers of what comes in, outside the transaction that keeps them."""

from collections import OrderedDict

from hounsfield.dicom.packed_header import pack_header
from hounsfield.dicom.part10 import Head
from hounsfield.index.database import Transaction
from hounsfield.index.headers import (
    NewHeader,
    Reference,
    compress_header,
    is_poor,
    latest_reference,
    make_reference,
)

_REMEMBERED = 256
_MOST_REFERENCES = 8


class HeaderPacker:
    """Compresses headers with those of their series, of which it remembers the latest references."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, tuple[Reference, int]] = OrderedDict()

    def pack(self, head: Head, series: str, tx: Transaction | None = None) -> NewHeader | None:
        """The header of an instance of a series; None if it is too large to be kept.

        `tx`, given where the series is in the index, is asked for its reference if none is remembered.
        """
        packed = pack_header(head)
        if packed is None:
            return None
        reference, number = self._latest.get(series, (None, 0))
        if reference is None and tx is not None:
            reference, number = latest_reference(tx, series), 1
        if reference is not None:
            data = compress_header(packed, reference)
            # Another kind of image in the same series: later ones are more likely to be like this one.
            if not is_poor(packed, data) or number >= _MOST_REFERENCES:
                self._remember(series, reference, number)
                return NewHeader(data, reference)
        reference = make_reference(packed)
        self._remember(series, reference, number + 1)
        return NewHeader(compress_header(packed, reference), reference)

    def _remember(self, series: str, reference: Reference, number: int) -> None:
        self._latest[series] = reference, number
        if len(self._latest) > _REMEMBERED:
            try:
                self._latest.popitem(last=False)
            except KeyError:  # Another thread was faster.
                return
