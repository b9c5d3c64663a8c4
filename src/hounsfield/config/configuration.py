"""The configuration of one run: read, checked, and frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hounsfield.config.checks import refusals
from hounsfield.config.lenient_json import Json
from hounsfield.config.options import OPTIONS
from hounsfield.config.refusal import ConfigurationRefused
from hounsfield.config.remarks import remarks
from hounsfield.config.sources import Origin, read_sources


@dataclass(frozen=True, slots=True)
class Configuration:
    """Checked options. `given` holds those that were set, `is_configured` tells whether any file was named."""

    given: Mapping[str, Json] = field(repr=False)
    base_folder: Path
    is_configured: bool
    warnings: tuple[str, ...]
    origin: Origin

    def get(self, name: str) -> Json:
        """The value of an option, or its default."""
        return self.given.get(name, OPTIONS[name].default)

    def boolean(self, name: str) -> bool:
        """The value of a Boolean option."""
        value = self.get(name)
        assert isinstance(value, bool), name
        return value

    def integer(self, name: str) -> int:
        """The value of an integer option."""
        value = self.get(name)
        assert isinstance(value, int), name
        return value

    def limit(self, name: str) -> int | None:
        """The value of an integer option where 0 says that there is no limit."""
        return self.integer(name) or None

    def text(self, name: str) -> str:
        """The value of a string option, empty when it is not set."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """The value of an option that is an array of strings, empty when it is not set."""
        value = self.get(name)
        if isinstance(value, str):
            return (value,)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

    def mapping(self, name: str) -> Mapping[str, Json]:
        """The value of an option that is an object, empty when it is not set."""
        value = self.get(name)
        return value if isinstance(value, dict) else {}

    def path(self, name: str) -> Path | None:
        """The value of a path, made absolute from the folder of the configuration; None when it is not set."""
        value = self.text(name)
        return (self.base_folder / value).absolute() if value else None


def load(origin: Origin) -> Configuration:
    """Read and check a configuration.

    Raises
    ------
    ConfigurationRefused
        With every reason not to start, in the order of the options.
    """
    sources = read_sources(origin)
    found = refusals(sources.values, sources.base_folder)
    if found:
        raise ConfigurationRefused(*found)
    return Configuration(
        given=sources.values,
        base_folder=sources.base_folder,
        is_configured=sources.is_configured,
        warnings=(*sources.warnings, *remarks(sources.values)),
        origin=origin,
    )


def has_changed(configuration: Configuration) -> bool:
    """Whether reading the same files again would give something else; unreadable ones count as changed."""
    try:
        return read_sources(configuration.origin).values != dict(configuration.given)
    except ConfigurationRefused:
        return True
