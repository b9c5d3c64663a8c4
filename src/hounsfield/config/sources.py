"""Where a configuration comes from: files and folders first, then what a container's environment puts over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hounsfield.config import environment as variables
from hounsfield.config.lenient_json import Document, Json, decode, parse
from hounsfield.config.options import OPTIONS, PLUGIN_SECTIONS
from hounsfield.config.refusal import refuse
from hounsfield.config.substitution import substitute
from hounsfield.errors import Corrupt


@dataclass(frozen=True, slots=True)
class Origin:
    """What was named on the command line, and the surroundings it was read in; enough to read it again."""

    paths: tuple[Path, ...]
    environment: Mapping[str, str] = field(repr=False)
    working_folder: Path
    secrets_folder: Path = Path("/run/secrets")


@dataclass(frozen=True, slots=True)
class Sources:
    """The options as given, unchecked, the files they came from, and what is worth a warning."""

    values: dict[str, Json] = field(repr=False)
    files: tuple[Path, ...]
    base_folder: Path
    is_configured: bool
    warnings: tuple[str, ...]


def read_sources(origin: Origin) -> Sources:
    """Read everything, later layers over earlier ones.

    Files and folders of the command line; `*.json` of the secrets folder; `ORTHANC_JSON`; environment variables;
    secrets named like variables.

    Raises
    ------
    ConfigurationRefused
        If something cannot be read, or two files of the command line give the same option.
    """
    warnings: list[str] = []
    paths = [origin.working_folder / path for path in origin.paths]
    files = [file for path in paths for file in _files_of(path, warnings)]
    values: dict[str, Json] = {}
    _merge_files(values, files, origin, warnings)
    for file in _json_files(origin.secrets_folder):
        _override(values, _read_file(file, origin.environment, warnings))
    if text := origin.environment.get("ORTHANC_JSON"):
        _override(values, _read_text(text, "ORTHANC_JSON", warnings))
    variables.apply(values, variables.settings(origin.environment))
    variables.apply(values, variables.settings(variables.secrets(origin.secrets_folder)))
    return Sources(
        values=values,
        files=tuple(files),
        base_folder=_base_folder(paths, origin.working_folder),
        is_configured=bool(origin.paths) or bool(text),
        warnings=tuple(warnings),
    )


def _base_folder(paths: Sequence[Path], working_folder: Path) -> Path:
    """The folder that relative paths start from."""
    if not paths:
        return working_folder
    return paths[0] if paths[0].is_dir() else paths[0].parent


def _files_of(path: Path, warnings: list[str]) -> list[Path]:
    if path.is_dir():
        found = _json_files(path)
        if not found:
            warnings.append(f"The configuration folder {path} holds no *.json file: the defaults apply")
        return found
    if not path.is_file():
        raise refuse(2006, f"The configuration file or folder does not exist: {path}")
    return [path]


def _json_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix == ".json" and path.is_file())


def _merge_files(values: dict[str, Json], files: Sequence[Path], origin: Origin, warnings: list[str]) -> None:
    """Put files together; an option has one place, so that nobody edits the one that does not count."""
    places: dict[str, Path] = {}
    for file in files:
        for name, value in _read_file(file, origin.environment, warnings).items():
            if name in places:
                raise refuse(
                    15,
                    f'The configuration section "{name}" is defined in 2 different configuration files: '
                    f"{places[name]} and {file}",
                )
            places[name] = file
            values[name] = value


def _override(values: dict[str, Json], over: Mapping[str, Json]) -> None:
    """Put a layer over another one. Options are replaced as a whole, sections of plugins member by member."""
    for name, value in over.items():
        under = values.get(name)
        if (
            (name not in OPTIONS or name in PLUGIN_SECTIONS)
            and isinstance(under, dict)
            and isinstance(value, dict)
        ):
            values[name] = {**under, **value}
        else:
            values[name] = value


def _read_file(file: Path, environment: Mapping[str, str], warnings: list[str]) -> dict[str, Json]:
    try:
        text, is_latin_1 = decode(file.read_bytes())
    except OSError as cause:
        raise refuse(2006, f"The configuration file cannot be read: {file} ({cause.strerror})") from cause
    if is_latin_1:
        warnings.append(f"{file} is not in UTF-8; it was read as Latin-1")
    return _read_text(substitute(text, environment), str(file), warnings)


def _read_text(text: str, where: str, warnings: list[str]) -> dict[str, Json]:
    try:
        document: Document = parse(text)
    except Corrupt as cause:
        raise refuse(
            28, f"The configuration file does not follow the JSON syntax: {where}, {cause}"
        ) from cause
    if not isinstance(document.value, dict):
        raise refuse(
            28,
            f"The configuration file does not follow the JSON syntax: {where}, an object in braces is expected",
        )
    warnings.extend(f"{where}, {repeated}" for repeated in document.repeated)
    return document.value
