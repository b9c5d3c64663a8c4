"""Why a configuration is refused, with Orthanc's number for it."""

from dataclasses import dataclass

from hounsfield.config.error_codes import describe
from hounsfield.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason not to start. `details` names the option and never shows a value that may be a secret."""

    code: int
    details: str

    def __str__(self) -> str:
        return f"[{describe(self.code)}] (code {self.code}) {self.details}"


class ConfigurationRefused(BadRequest):
    """The server must not start with this configuration; every reason is listed, the first one names the error."""

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__("; ".join(str(refusal) for refusal in refusals))
        self.refusals = refusals


def refuse(code: int, details: str) -> ConfigurationRefused:
    """A refusal for one reason, to be raised."""
    return ConfigurationRefused(Refusal(code, details))
