"""A peer: a server with the same REST interface, as the configuration and the REST interface define it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from hounsfield.errors import NotFound
from hounsfield.remote.modality import STORE_AND_FORWARD, BadDefinition, check_name

_KNOWN = frozenset(
    (
        "Url",
        "Username",
        "Password",
        "HttpHeaders",
        "CertificateFile",
        "CertificateKeyFile",
        "CertificateKeyPassword",
        "Pkcs11",
        "Timeout",
        STORE_AND_FORWARD,
    )
)
_ARRAY_MEMBERS = ("Url", "Username", "Password")


class CertificateMissing(NotFound):
    """The file of a client certificate does not exist."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another server. `url` ends in a slash; `properties` are those of users; a time-out of 0 is the global one.

    What is sent to one that `is_forwarded` goes into its queue.
    """

    name: str
    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    certificate: str = ""
    certificate_key: str = ""
    certificate_password: str = field(default="", repr=False)
    is_pkcs11: bool = False
    timeout_seconds: int = 0
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    is_forwarded: bool = False

    @property
    def is_simple(self) -> bool:
        """Whether the URL says it all."""
        return self == Peer(self.name, self.url)

    @property
    def is_plain(self) -> bool:
        """Whether it has nothing but a URL, and perhaps a user and a password."""
        return self == Peer(self.name, self.url, username=self.username, password=self.password)


def read_peer(name: str, value: object) -> Peer:
    """Read a definition: `["url"]`, `["url", "user", "password"]`, or an object.

    Raises
    ------
    BadDefinition
        If it has the wrong shape.
    CertificateMissing
        If the file of its certificate does not exist.
    """
    check_name(name, "peer")
    if isinstance(value, list):
        if len(value) not in (1, 3):
            raise BadDefinition(f'The peer "{name}" must be [ "url" ] or [ "url", "user", "password" ]')
        value = dict(zip(_ARRAY_MEMBERS, value, strict=False))
    if not isinstance(value, dict):
        raise BadDefinition(f'The peer "{name}" must be an array, or an object with a "Url"')

    def text(key: str) -> str:
        found = value.get(key, "")
        if not isinstance(found, str):
            raise BadDefinition(f'"{key}" of the peer "{name}" must be a string')
        return found

    url = text("Url")
    if not url:
        raise BadDefinition(f'The peer "{name}" has no "Url"')
    for key in ("CertificateFile", "CertificateKeyFile"):
        if text(key) and not Path(text(key)).is_file():
            raise CertificateMissing(f'The file in "{key}" of the peer "{name}" does not exist')
    return Peer(
        name,
        url if url.endswith("/") else url + "/",
        text("Username"),
        text("Password"),
        _headers(name, value.get("HttpHeaders", {})),
        text("CertificateFile"),
        text("CertificateKeyFile"),
        text("CertificateKeyPassword"),
        _boolean(name, "Pkcs11", value),
        _seconds(name, value.get("Timeout", 0)),
        {key: _property(name, key, found) for key, found in value.items() if key not in _KNOWN},
        _boolean(name, STORE_AND_FORWARD, value),
    )


def _headers(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise BadDefinition(f'"HttpHeaders" of the peer "{name}" must be an object of strings')
    for key, each in value.items():
        if not (key + each).isprintable() or not key.isascii() or ":" in key:
            raise BadDefinition(f'"HttpHeaders" of the peer "{name}" holds what is no header')
    return dict(value)


def _boolean(name: str, key: str, members: Mapping[str, object]) -> bool:
    value = members.get(key, False)
    if not isinstance(value, bool):
        raise BadDefinition(f'"{key}" of the peer "{name}" must be true or false')
    return value


def _seconds(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadDefinition(f'"Timeout" of the peer "{name}" must be a positive integer')
    return value


def _property(name: str, key: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    raise BadDefinition(f'"{key}" of the peer "{name}" must be a string or a number')


def write_peer(peer: Peer) -> object:
    """All of a definition, with its secrets: what the index keeps."""
    if peer.is_simple:
        return [peer.url]
    written: dict[str, object] = {
        "Url": peer.url,
        "Username": peer.username,
        "Password": peer.password,
        "HttpHeaders": dict(peer.headers),
        "CertificateFile": peer.certificate,
        "CertificateKeyFile": peer.certificate_key,
        "CertificateKeyPassword": peer.certificate_password,
        "Pkcs11": peer.is_pkcs11,
        "Timeout": peer.timeout_seconds,
        **peer.properties,
        **_forwarding(peer),
    }
    return {key: value for key, value in written.items() if value not in ("", {})}


def _forwarding(peer: Peer) -> dict[str, object]:
    return {STORE_AND_FORWARD: True} if peer.is_forwarded else {}


def show_peer(peer: Peer) -> dict[str, object]:
    """The configuration of a peer without its secrets, of which only the presence is told."""
    shown: dict[str, object] = {
        "Url": peer.url,
        "HttpHeaders": sorted(peer.headers),
        "Pkcs11": peer.is_pkcs11,
        "Timeout": peer.timeout_seconds,
        **peer.properties,
        **_forwarding(peer),
    }
    if peer.username:
        shown |= {"Username": peer.username, "Password": None}
    if peer.certificate:
        shown |= {
            "CertificateFile": peer.certificate,
            "CertificateKeyFile": None,
            "CertificateKeyPassword": None,
        }
    return shown


def show_destination(peer: Peer) -> object:
    """A peer as the jobs that send to it tell of it, without passwords."""
    if peer.is_plain:
        return [peer.url, peer.username, ""] if peer.username else [peer.url]
    return {
        "Url": peer.url,
        "Username": peer.username,
        "HttpHeaders": dict(peer.headers),
        "Pkcs11": peer.is_pkcs11,
        "Timeout": peer.timeout_seconds,
        **peer.properties,
    }
