"""Bodies of requests to the REST door: JSON that is right but for a few places."""

import json
from copy import deepcopy
from random import Random
from typing import Any

from tests.fuzz.rest_targets import SEEDS

_BODIES = [json.loads(body) for body in SEEDS["rest.find"]]
_LEVELS = ("Patient", "Study", "Series", "Instance", "studies", "Image", "")
_TAGS = (
    "PatientName", "PatientID", "0010,0010", "00100020", "0020-000d", "StudyDate", "StudyTime", "Modality", "Rows",
    "ModalitiesInStudy", "NumberOfStudyRelatedInstances", "PatientComments", "PixelData", "0009,0010", "x", "",
    "ReferencedImageSequence", "InstanceNumber", "SOPClassUID", "0008,1140",
)  # fmt: skip
_VALUES = (
    "", "*", "?", "**", "D*", "A\\B", "\\", "\\\\", "1.1", "CT", "-", "20200101", "20200101-", "-20200101", "DOE^P1",
    "20209999-1", "101010-", "\0", "é", "ß", "\u1e9e", "\u0130", "\U0001f600", "[a-z]", "%", "_", "'", '"', "^", "=",
    " x ", "*" * 200, "a" * 5000, "\\" * 2000,
)  # fmt: skip
_OTHERS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**62, 2**63, 2**64, 1.5, 1e300, [], {}, [1], {"a": 1}, "x", "All", "Any", "None",
    "ASC", "DESC", "DicomTag", "Metadata", "MetadataAsInt", "MetadataAsFloat", "LastUpdate", "IndexInSeries", "1024",
)  # fmt: skip


def search(rng: Random) -> bytes:
    """A body, changed in a few places."""
    body = json.loads(json.dumps(rng.choice(_BODIES)))
    if rng.random() < 0.5:
        body["Level"] = rng.choice(_LEVELS)
    if rng.random() < 0.7:
        body["Query"] = {rng.choice(_TAGS): rng.choice(_VALUES) for _ in range(rng.randrange(4))}
    if rng.random() < 0.2:
        kinds = ("DicomTag", "Metadata", "MetadataAsInt", "MetadataAsFloat")
        keys = (*_TAGS, "LastUpdate", "1024", "IndexInSeries")
        entry = {"Type": rng.choice(kinds), "Key": rng.choice(keys), "Direction": rng.choice(("ASC", "DESC"))}
        body["OrderBy"] = [entry] * rng.choice((1, 2, 70))
    for _ in range(rng.randrange(3)):
        _spoil(rng, body)
    # Escapes that orjson refuses, like half a surrogate, are for the other changes to find.
    return json.dumps(body, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _spoil(rng: Random, value: Any) -> None:
    while isinstance(value, dict | list) and value:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        if rng.random() < 0.5 or not isinstance(value[key], dict | list):
            choices = _OTHERS if rng.random() < 0.6 else (*_TAGS, *_VALUES, *_LEVELS)
            value[key] = deepcopy(rng.choice(choices))
            return
        value = value[key]


def request(rng: Random) -> bytes:
    """A POST of such a body."""
    path = rng.choice(("find", "count-resources", "bulk-content", "bulk-delete", "lookup"))
    return f"POST /tools/{path}\n\n".encode() + search(rng)
