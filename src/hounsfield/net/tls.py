"""TLS contexts of DICOM connections. PS3.15 Annex B, whose BCP 195 profile wants TLS 1.2 or later."""

import ssl
import warnings
from collections.abc import Sequence
from pathlib import Path

from hounsfield.errors import BadRequest

PROTOCOL_VERSIONS: dict[int, ssl.TLSVersion] = {
    1: ssl.TLSVersion.TLSv1,  # SSL 3.0, which no library offers any more.
    2: ssl.TLSVersion.TLSv1,
    3: ssl.TLSVersion.TLSv1_1,
    4: ssl.TLSVersion.TLSv1_2,
    5: ssl.TLSVersion.TLSv1_3,
}
"""By the numbers of the option DicomTlsMinimumProtocolVersion."""

_BCP_195_CIPHERS = "ECDHE+AESGCM:DHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL"


def server_context(
    certificate: Path,
    private_key: Path | None,
    trusted: Sequence[Path] = (),
    *,
    require_client: bool = True,
    minimum_version: ssl.TLSVersion | None = None,
    ciphers: Sequence[str] = (),
) -> ssl.SSLContext:
    """What a provider needs to speak TLS.

    Parameters
    ----------
    certificate, private_key
        PEM files; without a private key it must be in the file of the certificate.
    trusted
        PEM files of the authorities that sign the certificates of clients.
    require_client
        Whether clients must have a trusted certificate; otherwise they may be anonymous, but a certificate
        that they do show must be trusted.
    minimum_version, ciphers
        None and empty for the BCP 195 profile. Names of ciphers are those of OpenSSL; TLS 1.3 has its own,
        which are always allowed.

    Raises
    ------
    BadRequest
        If a file cannot be used, or no cipher is known.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if require_client and not trusted:
        raise BadRequest(
            "TLS clients must have a certificate, but there is no trusted certificate to check it"
        )
    context.verify_mode = ssl.CERT_NONE
    if trusted:
        context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
    _load(context, certificate, private_key, trusted)
    _restrict(context, minimum_version, ciphers)
    return context


def client_context(
    certificate: Path | None,
    private_key: Path | None,
    trusted: Sequence[Path] = (),
    *,
    minimum_version: ssl.TLSVersion | None = None,
    ciphers: Sequence[str] = (),
) -> ssl.SSLContext:
    """What a requester needs to speak TLS; parameters as for `server_context`.

    The server's certificate is checked against `trusted`, or against the authorities of the system. Its host
    name is not: DICOM nodes are configured by address, and their certificates name AEs as often as hosts.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if not trusted:
        context.load_default_certs()
    _load(context, certificate, private_key, trusted)
    _restrict(context, minimum_version, ciphers)
    return context


def _load(
    context: ssl.SSLContext, certificate: Path | None, private_key: Path | None, trusted: Sequence[Path]
) -> None:
    try:
        if certificate is not None:
            context.load_cert_chain(certificate, private_key)
        for path in trusted:
            context.load_verify_locations(path)
    except (OSError, ValueError) as error:
        raise BadRequest(f"The certificates of DICOM TLS cannot be used: {error}") from error


def _restrict(
    context: ssl.SSLContext, minimum_version: ssl.TLSVersion | None, ciphers: Sequence[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Old versions are the choice of the user.
        context.minimum_version = minimum_version or ssl.TLSVersion.TLSv1_2
    names = [name for name in ciphers if not name.startswith("TLS_")]
    if ciphers and not names:
        return
    try:
        context.set_ciphers(":".join(names) or _BCP_195_CIPHERS)
    except ssl.SSLError as error:
        raise BadRequest(f"No cipher for DICOM TLS is known among {', '.join(ciphers)}") from error
