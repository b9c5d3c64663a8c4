"""Who may come in: the loopback rule and HTTP Basic authentication. RFC 7617."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

REALM = "Orthanc Secure Area"
_CHALLENGE = (b"www-authenticate", f'Basic realm="{REALM}"'.encode())
_CACHE_SIZE = 256


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """Who may come in.

    `users` maps names to passwords; it is looked at only if `is_authentication_enabled`.
    """

    is_remote_access_allowed: bool = False
    is_authentication_enabled: bool = False
    users: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Denied:
    """A refusal, with what the client may do about it."""

    headers: tuple[tuple[bytes, bytes], ...] = ()


class Doorkeeper:
    """Tells who a client is; remembers the credentials it has verified."""

    def __init__(self, options: AccessOptions) -> None:
        self._options = options
        self._passwords = {name.encode(): password.encode() for name, password in options.users.items()}
        self._verified: dict[str, str] = {}

    def admit(self, remote_ip: str, authorization: str | None) -> str | Denied:
        """The user's name, empty without authentication, or a refusal."""
        if not self._options.is_remote_access_allowed and not is_loopback(remote_ip):
            return Denied()
        if not self._options.is_authentication_enabled:
            return ""
        if authorization is None:
            return Denied((_CHALLENGE,))
        known = self._verified.get(authorization)
        if known is not None:
            return known
        name = self._verify(authorization)
        if name is None:
            return Denied((_CHALLENGE,))
        if len(self._verified) >= _CACHE_SIZE:
            self._verified.clear()
        self._verified[authorization] = name
        return name

    def _verify(self, authorization: str) -> str | None:
        credentials = _basic_credentials(authorization)
        if credentials is None:
            return None
        name, password = credentials
        expected = self._passwords.get(name)
        # An unknown name costs the same comparison as a wrong password.
        matches = hmac.compare_digest(password, expected if expected is not None else b"\0" + password)
        return name.decode("utf-8", "replace") if matches and expected is not None else None


def _basic_credentials(authorization: str) -> tuple[bytes, bytes] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    name, colon, password = decoded.partition(b":")
    return (name, password) if colon else None


def is_loopback(remote_ip: str) -> bool:
    """Whether an address is this machine's own."""
    return remote_ip.startswith(("127.", "::ffff:127.")) or remote_ip == "::1"
