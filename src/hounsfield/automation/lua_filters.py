"""Lua callbacks that decide: they run on the thread of what they decide about, which waits."""

import logging
from collections.abc import Callable

from hounsfield.automation.interpreter import Interpreter, ScriptFailed
from hounsfield.automation.values import Json, from_lua, to_lua
from hounsfield.dicom.json import simplified
from hounsfield.dicom.keys import Keys, keys_of_names, short_names
from hounsfield.dicom.part10 import Head, read_head
from hounsfield.errors import ArchiveError, BadRequest
from hounsfield.hooks import Destination
from hounsfield.host import Host
from hounsfield.http.messages import Request
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Incoming, TurnedAway
from hounsfield.net.agreement import Caller

_log = logging.getLogger("hounsfield.lua")

HTTP_FILTER = "IncomingHttpRequestFilter"
RECEIVED_FILTER = "ReceivedInstanceFilter"
C_STORE_FILTER = "ReceivedCStoreInstanceFilter"
OUTGOING_STORE_FILTER = "OutgoingCStoreInstanceFilter"
FIND_FILTER = "IncomingFindRequestFilter"
WORKLIST_FILTER = "IncomingWorklistRequestFilter"
OUTGOING_FIND_FILTER = "OutgoingFindRequestFilter"
CALLBACKS = (
    HTTP_FILTER,
    RECEIVED_FILTER,
    C_STORE_FILTER,
    OUTGOING_STORE_FILTER,
    FIND_FILTER,
    WORKLIST_FILTER,
    OUTGOING_FIND_FILTER,
)
_LARGEST_STATUS = 0xFFFF


class NotPredicate(ScriptFailed):
    """A function that must say true or false said something else."""


class LuaFilters:
    """The functions for the registries of a host. Each does nothing while no script defines its callback."""

    def __init__(self, interpreter: Interpreter, manufacturer_of: Callable[[str], str]) -> None:
        self._interpreter, self._manufacturer_of = interpreter, manufacturer_of

    def extend(self, host: Host) -> None:
        """Add them all."""
        host.filters.append(self.admits_instance)
        host.find_filters.append(lambda keys, caller: self._rewrite(FIND_FILTER, keys, self._caller(caller)))
        host.worklist_filters.append(
            lambda keys, caller: self._rewrite(WORKLIST_FILTER, keys, self._caller(caller))
        )
        host.outgoing_find_filters.append(
            lambda keys, ae_title: self._rewrite(OUTGOING_FIND_FILTER, keys, ae_title)
        )
        host.outgoing_store_filters.append(self.lets_go)

    def admits_request(self, request: Request) -> bool:
        """Ask `IncomingHttpRequestFilter`.

        Raises
        ------
        ScriptFailed, TimedOut
            If it gives no answer.
        """
        if HTTP_FILTER not in self._interpreter.defined:
            return True
        return self._ask_predicate(
            HTTP_FILTER,
            request.method,
            request.path,
            request.remote_ip,
            request.username,
            dict(request.headers),
        )

    def admits_instance(self, incoming: Incoming, head: Head) -> bool:
        """Ask `ReceivedInstanceFilter`, and `ReceivedCStoreInstanceFilter` about what came by C-STORE.

        A function that fails lets the instance in: nothing is lost by an error in a script.

        Raises
        ------
        TurnedAway
            With the status that a C-STORE is to be answered with.
        """
        names = {RECEIVED_FILTER, C_STORE_FILTER} & self._interpreter.defined
        if not names:
            return True
        tags, origin = simplified(head.dataset), _origin(incoming.origin)
        info = {"HasPixelData": head.has_pixel_data, "TransferSyntaxUID": head.transfer_syntax_uid}
        try:
            if RECEIVED_FILTER in names and not self._ask_predicate(RECEIVED_FILTER, tags, origin, info):
                return False
            if C_STORE_FILTER not in names or incoming.origin.kind is not OriginKind.DICOM_PROTOCOL:
                return True
            status = _status(self._ask(C_STORE_FILTER, tags, origin, info))
        except ScriptFailed as error:
            _log.error("A Lua filter of received instances failed, the instance is kept: %s", error)
            return True
        if status:
            raise TurnedAway("A script turned the instance away", status)
        return True

    def lets_go(self, file: memoryview, destination: Destination) -> bool:
        """Ask `OutgoingCStoreInstanceFilter`."""
        if OUTGOING_STORE_FILTER not in self._interpreter.defined:
            return True
        there = {"RemoteAet": destination.ae_title, "RemoteIp": destination.ip}
        return self._ask_predicate(OUTGOING_STORE_FILTER, simplified(read_head(file).dataset), there)

    def _caller(self, caller: Caller) -> Json:
        return {
            "RemoteAet": caller.calling_ae_title,
            "RemoteIp": caller.ip,
            "CalledAet": caller.called_ae_title,
            "Manufacturer": self._manufacturer_of(caller.calling_ae_title),
        }

    def _rewrite(self, name: str, keys: Keys, second: Json) -> Keys:
        """Give a query to a callback that may change it; a callback that fails changes nothing."""
        if name not in self._interpreter.defined:
            return keys
        try:
            answer = self._ask(name, short_names(keys), second)
            if isinstance(answer, (dict, list)):
                return keys_of_names(answer if isinstance(answer, dict) else {})
            raise BadRequest("it must return a table")
        except ArchiveError as error:
            _log.error("The Lua filter %s failed, the query is not changed: %s", name, error)
            return keys

    def _ask_predicate(self, name: str, *arguments: Json) -> bool:
        answer = self._ask(name, *arguments)
        if not isinstance(answer, bool):
            raise NotPredicate(f"The Lua function {name} must return true or false")
        return answer

    def _ask(self, name: str, *arguments: Json) -> Json:
        def work() -> Json:
            table = self._interpreter.table
            answer = self._interpreter.call(name, *(to_lua(each, table) for each in arguments))
            return from_lua(answer, keeps_texts=not isinstance(answer, (int, float)))

        return self._interpreter.hold(work)


def _origin(origin: Origin) -> dict[str, str]:
    found = {"RequestOrigin": origin.kind.value}
    if origin.remote_ip:
        found["RemoteIp"] = origin.remote_ip
    match origin.kind:
        case OriginKind.DICOM_PROTOCOL:
            found |= {"RemoteAet": origin.remote_aet, "CalledAet": origin.called_aet}
        case OriginKind.REST_API:
            found["Username"] = origin.http_username
    return found


def _status(answer: Json) -> int:
    """The status that a filter of C-STORE gives.

    Raises
    ------
    ScriptFailed
        If it is none.
    """
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer <= _LARGEST_STATUS:
        raise ScriptFailed(f"The Lua function {C_STORE_FILTER} must return a status from 0 to 65535")
    return answer
