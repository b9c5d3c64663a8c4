"""Which handler answers a path.

Patterns are literal components, `{name}` for one component and a final `{name...}` for all that is left. A literal
wins over a capture; of two routes with the same method and pattern the later one wins, so that an extension may
override what is built in.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from hounsfield.http.errors import NoAnswer, UnknownResource, UnknownVerb
from hounsfield.http.messages import BodySink, Request, Response, answer_json, components

Handler = Callable[[Request], Response]
OpenBody = Callable[[Request], BodySink | Response]

METHODS = ("GET", "POST", "PUT", "DELETE")
# Verbs of WebDAV: unknown outside its folder, while any other verb is a bad request.
WEBDAV_METHODS = frozenset(("OPTIONS", "HEAD", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "MKCOL"))


@dataclass(frozen=True, slots=True)
class Route:
    """A handler and what leads to it.

    `is_inline` claims that the handler, asked by a GET without arguments, reads only memory or the index, quickly:
    it is then run on the event loop instead of a worker thread. `at_hand` gives the same answer as the handler, to
    such a GET, if it happens to be in memory, and raises an `ArchiveError` otherwise. `is_upload` says that what
    is sent there comes one after the other, so that a thread may stay with its connection. `is_urgent` claims that the
    handler is short, and may end what others wait for: it is run though all worker threads wait.
    `at_once` gives the same answer as the handler to any request, with arguments or with a body held in memory, if that
    takes no longer than a glance at the index, and raises an `ArchiveError` otherwise.
    `open_body` gives what takes a body while it arrives, or the answer that refuses it; `handler` is then for callers
    who have the body already.
    """

    method: str
    pattern: str
    handler: Handler
    is_inline: bool = False
    at_hand: Handler | None = None
    is_upload: bool = False
    at_once: Handler | None = None
    open_body: OpenBody | None = None
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class ExpressionRoute:
    """A regular expression over the whole path, for any method, asked before every `Route`.

    Its groups are given as the values `"0"`, `"1"`, ... in order.
    """

    expression: re.Pattern[str]
    handler: Handler
    is_inline: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The handler for one request, and what its pattern captured."""

    handler: Handler
    values: Mapping[str, str]
    is_inline: bool
    at_hand: Handler | None = None
    is_upload: bool = False
    at_once: Handler | None = None
    open_body: OpenBody | None = None
    is_urgent: bool = False


@dataclass(slots=True)
class _Node:
    children: dict[str, "_Node"] = field(default_factory=dict)
    capture: "_Node | None" = None
    routes: dict[str, tuple[Route, tuple[str, ...]]] = field(default_factory=dict)
    rest: dict[str, tuple[Route, tuple[str, ...]]] = field(default_factory=dict)


class Router:
    """The tree of all routes; built once, then only read."""

    def __init__(self, routes: Iterable[Route], expressions: Iterable[ExpressionRoute] = ()) -> None:
        self.routes = tuple(routes)
        self.methods = frozenset(route.method for route in self.routes)
        self._expressions = tuple(expressions)
        self._root = _Node()
        self._literal: dict[tuple[str, str], Found] = {}
        for route in self.routes:
            self._add(route)

    def find(self, method: str, path: str) -> Found:
        """The handler for a method and a path as sent.

        A path that only leads to deeper ones answers GET with their names; an unsupported method is answered 405.

        Raises
        ------
        UnknownResource
            If nothing is there.
        NoAnswer
            The same, for a verb of WebDAV.
        UnknownVerb
            The same, for a verb that is neither.
        """
        if not self._expressions:
            known = self._literal.get((method, path))
            if known is not None:
                return known
        parts = components(path)
        for route in self._expressions:
            match = route.expression.fullmatch("/" + "/".join(parts))
            if match is not None:
                groups = {str(i): value or "" for i, value in enumerate(match.groups())}
                return Found(route.handler, groups, route.is_inline)
        captured: list[str] = []
        return self._match(method, parts, captured)

    def _add(self, route: Route) -> None:
        names: list[str] = []
        node = self._root
        parts = components(route.pattern)
        for part in parts:
            if part.endswith("...}"):
                names.append(part[1:-4])
                node.rest[route.method] = (route, tuple(names))
                return
            if part.startswith("{"):
                names.append(part[1:-1])
                node.capture = node.capture or _Node()
                node = node.capture
            else:
                node = node.children.setdefault(part, _Node())
        node.routes[route.method] = (route, tuple(names))
        if not names:
            self._literal[route.method, "/" + "/".join(parts)] = _found(route, {})

    def _match(self, method: str, parts: list[str], captured: list[str]) -> Found:
        node = _deepest(self._root, parts, 0, captured)
        if node is None:
            if method in WEBDAV_METHODS:
                raise NoAnswer
            if method not in METHODS:
                raise UnknownVerb
            raise UnknownResource
        routes, names = node
        chosen = routes.get(method)
        if chosen is not None:
            route, keys = chosen
            values = dict(zip(keys, captured, strict=True))
            return _found(route, values)
        if method == "GET" and names:
            return Found(_Directory(names), {}, True)
        if method in WEBDAV_METHODS:
            raise NoAnswer
        if method not in METHODS:
            raise UnknownVerb
        allowed = [m for m in METHODS if m in routes or (m == "GET" and names)]
        return Found(_NotAllowed(allowed), {}, True)


def _found(route: Route, values: Mapping[str, str]) -> Found:
    return Found(
        route.handler,
        values,
        route.is_inline,
        route.at_hand,
        route.is_upload,
        route.at_once,
        route.open_body,
        route.is_urgent,
    )


_Routes = dict[str, tuple[Route, tuple[str, ...]]]


def _deepest(
    node: _Node, parts: list[str], at: int, captured: list[str]
) -> tuple[_Routes, tuple[str, ...]] | None:
    """The routes at the end of `parts` and the names below it, a literal tried before a capture."""
    if at == len(parts):
        if node.rest and not node.routes:
            captured.append("")
            return node.rest, ()
        names = tuple(node.children)
        return (node.routes, names) if node.routes or names else None
    child = node.children.get(parts[at])
    if child is not None:
        found = _deepest(child, parts, at + 1, captured)
        if found is not None:
            return found
    if node.capture is not None:
        captured.append(parts[at])
        found = _deepest(node.capture, parts, at + 1, captured)
        if found is not None:
            return found
        captured.pop()
    if node.rest:
        captured.append("/".join(parts[at:]))
        return node.rest, ()
    return None


@dataclass(frozen=True, slots=True)
class _Directory:
    names: tuple[str, ...]

    def __call__(self, _request: Request) -> Response:
        return answer_json(sorted(self.names))


@dataclass(frozen=True, slots=True)
class _NotAllowed:
    allowed: list[str]

    def __call__(self, _request: Request) -> Response:
        return Response(405, ((b"allow", ",".join(self.allowed).encode()),))
