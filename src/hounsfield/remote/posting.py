"""An instance on its way to a peer: POST to `/instances`, compressed or transcoded if that is asked."""

from isal import igzip

from hounsfield.imaging.transcode import transcode
from hounsfield.remote.web_client import WebClient
from hounsfield.store.spool import Buffer

_GZIP_LEVEL = 1


def post_instance(
    client: WebClient, file: Buffer, *, is_compressed: bool, transfer_syntax_uid: str | None
) -> int:
    """Send a file to a peer; how many bytes that were.

    Raises
    ------
    WebFailure
        If the peer cannot be reached, or does not take it.
    Unsupported
        If it cannot be transcoded as it was asked.
    """
    body: Buffer = file
    if transfer_syntax_uid is not None:
        body = transcode(file, transfer_syntax_uid)
    headers = {"Content-Type": "application/dicom"}
    if is_compressed:
        body = igzip.compress(bytes(body), _GZIP_LEVEL)
        headers["Content-Encoding"] = "gzip"
    client.request("POST", "instances", body, headers)
    return len(body)
