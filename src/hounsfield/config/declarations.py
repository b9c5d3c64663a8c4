"""Names that the configuration declares: metadata, attachments, attributes to index, private tags."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hounsfield.config.lenient_json import Json
from hounsfield.config.refusal import ConfigurationRefused, Refusal, refuse
from hounsfield.dicom.dictionary.lookup import UnknownTag, parse_tag, standard_entry
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import Tag, is_private

USER_NUMBERS: Final = range(1024, 65536)
SYSTEM_METADATA: Final = frozenset(
    """
    IndexInSeries ReceptionDate RemoteAET ExpectedNumberOfInstances ModifiedFrom AnonymizedFrom LastUpdate Origin
    TransferSyntax SopClassUid RemoteIP CalledAET HttpUsername PixelDataOffset MainDicomTagsSignature
    MainDicomSequences PixelDataVR IsProtected PatientRecyclingOrder
    """.split()
)
SYSTEM_ATTACHMENTS: Final = frozenset({"dicom", "dicom-as-json", "dicom-until-pixel-data"})
_KEY: Final = re.compile(r"([0-9A-Fa-f]{4})[,-]([0-9A-Fa-f]{2,4})")
_VRS: Final = frozenset(
    "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)
_LEVELS: Final = {
    "Patient": Level.PATIENT,
    "Study": Level.STUDY,
    "Series": Level.SERIES,
    "Instance": Level.INSTANCE,
}


@dataclass(frozen=True, slots=True)
class UserContentType:
    """An attachment of the user's own."""

    name: str
    number: int
    mime_type: str


@dataclass(frozen=True, slots=True)
class DeclaredTag:
    """An attribute that no dictionary knows. A private tag holds only the last byte of its element."""

    tag: Tag
    vr: str
    name: str
    private_creator: str


def read_user_metadata(entries: Mapping[str, Json]) -> dict[str, int]:
    """The entries of `UserMetadata`."""
    result: dict[str, int] = {}
    for name, value in entries.items():
        _check_name(name, SYSTEM_METADATA, "UserMetadata")
        result[name] = _number(name, value, result.values(), "UserMetadata")
    return result


def read_user_content_types(entries: Mapping[str, Json]) -> tuple[UserContentType, ...]:
    """The entries of `UserContentType`: a number, or a number and a MIME type."""
    result: list[UserContentType] = []
    for name, value in entries.items():
        _check_name(name, SYSTEM_ATTACHMENTS, "UserContentType")
        number, mime_type = value, "application/octet-stream"
        if isinstance(value, list):
            if len(value) != 2 or not isinstance(value[1], str):
                raise refuse(5, f'"{name}" in "UserContentType" must be a number, or [ number, "MIME type" ]')
            number, mime_type = value[0], value[1]
        taken = [known.number for known in result]
        result.append(UserContentType(name, _number(name, number, taken, "UserContentType"), mime_type))
    return tuple(result)


def _check_name(name: str, system: frozenset[str], option: str) -> None:
    if name in system:
        raise refuse(8, f'"{name}" in "{option}" is a name of the system')


def _number(name: str, value: Json, taken: object, option: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise refuse(5, f'The number of "{name}" in "{option}" must be an integer')
    if value not in USER_NUMBERS:
        raise refuse(3, f'The number of "{name}" in "{option}" must be between 1024 and 65535')
    if value in tuple(taken):  # type: ignore[arg-type]
        raise refuse(3, f'The number of "{name}" in "{option}" is used twice')
    return value


def read_declared_tags(entries: Mapping[str, Json], default_creator: str) -> tuple[DeclaredTag, ...]:
    """The entries of `Dictionary`: `"gggg,eeee": [VR, name, minimum = 1, maximum = 1, private creator?]`."""
    return tuple(_declared_tag(key, value, default_creator) for key, value in entries.items())


def _declared_tag(key: str, value: Json, default_creator: str) -> DeclaredTag:
    found = _KEY.fullmatch(key)
    if found is None:
        raise refuse(15, f'"{key}" in "Dictionary" must be a tag like "00e1,c2"')
    if not isinstance(value, list) or not 2 <= len(value) <= 5:
        raise refuse(
            15, f'"{key}" in "Dictionary" must be [ "VR", "name", minimum, maximum, "private creator" ]'
        )
    defaults: list[Json] = [1, 1, default_creator]
    vr, name, minimum, maximum, creator = value + defaults[len(value) - 2 :]
    if not isinstance(vr, str) or vr not in _VRS:
        raise refuse(3, f'"{key}" in "Dictionary" has an unknown VR')
    if not isinstance(name, str) or not isinstance(creator, str) or not name:
        raise refuse(15, f'The name and the private creator of "{key}" in "Dictionary" must be strings')
    if not (isinstance(minimum, int) and isinstance(maximum, int) and minimum >= 0 and maximum >= 0):
        raise refuse(15, f'The multiplicities of "{key}" in "Dictionary" must be positive integers')
    tag = int(found[1], 16) << 16 | int(found[2], 16)
    if not is_private(tag) and standard_entry(tag) is not None:
        raise refuse(2042, f'"{key}" in "Dictionary" is already an attribute of the standard')
    return DeclaredTag(tag, vr, name, creator)


def read_extra_main_dicom_tags(
    entries: Mapping[str, Json], declared: tuple[DeclaredTag, ...]
) -> dict[Level, tuple[Tag, ...]]:
    """The entries of `ExtraMainDicomTags`, by level."""
    names = {tag.name: tag.tag for tag in declared}
    result: dict[Level, tuple[Tag, ...]] = {}
    for level, value in entries.items():
        if level not in _LEVELS:
            raise refuse(3, f'"{level}" in "ExtraMainDicomTags" is not Patient, Study, Series or Instance')
        if not isinstance(value, list):
            raise refuse(15, f'"{level}" in "ExtraMainDicomTags" must be an array of tags')
        result[_LEVELS[level]] = tuple(dict.fromkeys(_tag(text, names) for text in value))
    return result


def _tag(text: Json, names: Mapping[str, Tag]) -> Tag:
    if not isinstance(text, str):
        raise refuse(15, 'The tags of "ExtraMainDicomTags" must be strings')
    if text in names:
        return names[text]
    try:
        return parse_tag(text)
    except UnknownTag as cause:
        raise refuse(27, f'Unknown DICOM tag in "ExtraMainDicomTags": {text}') from cause


def check_declarations(given: Mapping[str, Json]) -> Iterator[Refusal]:
    """What is wrong in the options above."""

    def entries(name: str) -> Mapping[str, Json]:
        value = given.get(name)
        return value if isinstance(value, dict) else {}

    creator = given.get("DefaultPrivateCreator")
    try:
        read_user_metadata(entries("UserMetadata"))
        read_user_content_types(entries("UserContentType"))
        declared = read_declared_tags(entries("Dictionary"), creator if isinstance(creator, str) else "")
        read_extra_main_dicom_tags(entries("ExtraMainDicomTags"), declared)
    except ConfigurationRefused as refused:
        yield from refused.refusals
