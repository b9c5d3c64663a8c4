"""What an administrator may choose about HTTP."""

from dataclasses import dataclass, field
from pathlib import Path

from hounsfield.http.auth import AccessOptions


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """HTTPS. The numbers of `minimum_version` are those of `SslMinimumProtocolVersion`: 4 is TLS 1.2, 5 TLS 1.3."""

    certificate: Path
    minimum_version: int = 4
    ciphers: tuple[str, ...] = ()
    trusted_client_certificates: Path | None = None


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The HTTP server.

    No bind address means all. `maximum_body_bytes` 0 means no limit. A body beyond `spool_threshold_bytes` waits
    on disk instead of in memory. `may_answer_on_loop` says that the index answers without delay.
    """

    port: int = 8042
    bind_addresses: tuple[str, ...] = ()
    threads: int = 50
    may_answer_on_loop: bool = True
    request_timeout_seconds: float = 30.0
    send_timeout_seconds: float = 300.0
    shutdown_timeout_seconds: int = 30
    is_kept_alive: bool = True
    keep_alive_timeout_seconds: int = 1
    is_compressed: bool = False
    describes_errors: bool = True
    maximum_body_bytes: int = 8192 * 1024 * 1024
    maximum_head_bytes: int = 64 * 1024
    spool_threshold_bytes: int = 4 * 1024 * 1024
    access: AccessOptions = field(default_factory=AccessOptions)
    tls: TlsOptions | None = None
