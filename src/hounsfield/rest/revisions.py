"""Revisions as ETags, and the conditions of requests on them."""

import re

from hounsfield.http.errors import BadRevision, WrongRevision
from hounsfield.http.messages import Header, Request, Response
from hounsfield.rest.door import RestOptions

_REVISION = re.compile(r'\s*"?(\d{1,18})-([^"]*)"?\s*', re.ASCII)


def etag(revision: int, md5: str) -> Header:
    """The header that names a version."""
    return b"etag", f'"{revision}-{md5}"'.encode()


def not_modified(request: Request, revision: int, md5: str) -> Response | None:
    """The answer to a client that has this version already.

    Raises
    ------
    BadRevision
        If its header is no version.
    """
    given = request.headers.get("if-none-match")
    if given is None:
        return None
    header = etag(revision, md5)
    try:
        asked = _parse(given)
    except BadRevision as error:
        raise BadRevision(str(error), (header,)) from error
    return Response(304, (header,)) if asked == (revision, md5) else None


def check_write(options: RestOptions, request: Request, revision: int, md5: str) -> None:
    """Refuse to overwrite a version that the client has not seen.

    Raises
    ------
    WrongRevision
        If it names another, or must name one and does not.
    BadRevision
        If its header is no version.
    """
    given = request.headers.get("if-match")
    if given is None:
        if options.check_revisions:
            raise WrongRevision("The header If-Match is missing")
        return
    if _parse(given) != (revision, md5):
        raise WrongRevision


def _parse(text: str) -> tuple[int, str]:
    match = _REVISION.fullmatch(text)
    if match is None:
        raise BadRevision("This is not a revision")
    return int(match[1]), match[2].lower()
