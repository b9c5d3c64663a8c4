"""Requests from inside the process: scripts ask the server's own routes without a socket.

Neither authentication nor request filters see them.
"""

from collections.abc import Mapping

from hounsfield.errors import NotFound
from hounsfield.http.bodies import read_whole
from hounsfield.http.dispatch import Dispatcher, dispatch
from hounsfield.http.messages import ErrorNote, FileBody, Origin, Request, Response, split_target
from hounsfield.http.status import INTERNAL

_NO_HEADERS: Mapping[str, str] = {}


class LocalCalls:
    """The routes of the server, once they are known: extensions keep it and call it later."""

    def __init__(self) -> None:
        self._all: Dispatcher | None = None
        self._builtin: Dispatcher | None = None

    def bind(self, dispatcher: Dispatcher, builtin: Dispatcher) -> None:
        """Say where requests go: to all routes, and to those that no script registered."""
        self._all, self._builtin = dispatcher, builtin

    def call(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] = _NO_HEADERS,
        *,
        is_builtin: bool = False,
        origin: Origin = "plugin",
    ) -> Response:
        """Answer a request, whose target may have a query; failures are answers too, with their `error`.

        Raises
        ------
        NotFound
            Before `bind`.
        """
        dispatcher = self._builtin if is_builtin else self._all
        if dispatcher is None:
            raise NotFound("The server does not answer requests yet")
        path, query = split_target(target)
        named = {name.lower(): value for name, value in headers.items()}
        request = Request(method, path, query, named, body, origin=origin)
        response = dispatch(dispatcher, request)
        if response.status >= 400 and response.error is None:
            note = ErrorNote(INTERNAL.code, INTERNAL.text, f"HTTP status {response.status}")
            return Response(response.status, response.headers, response.body, note)
        return response


def whole_body(response: Response) -> bytes:
    """All bytes of a response in memory.

    Raises
    ------
    ArchiveError
        If they cannot be read.
    """
    body = response.body
    if isinstance(body, bytes):
        return body
    return read_whole(body) if isinstance(body, FileBody) else b"".join(body)
