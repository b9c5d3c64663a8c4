"""Lua callbacks of what happened: on a thread of their own, one at a time, in order."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from hounsfield.automation.interpreter import Interpreter, ScriptFailed
from hounsfield.automation.operations import KIND, parameters
from hounsfield.automation.values import Json, LuaValue, from_lua, to_lua
from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, NotFound
from hounsfield.events import (
    AttachmentUpdated,
    Event,
    InstanceReceived,
    InstanceReceivedAgain,
    JobFailed,
    JobSubmitted,
    JobSucceeded,
    MetadataUpdated,
    ResourceDeleted,
    ResourceStable,
)
from hounsfield.http.local import LocalCalls, whole_body
from hounsfield.jobs.engine import Engine

_log = logging.getLogger("hounsfield.lua")

_STOP_SECONDS = 10.0
_JOBS = {JobSubmitted: "OnJobSubmitted", JobSucceeded: "OnJobSuccess", JobFailed: "OnJobFailure"}
CALLBACKS = (
    "OnStoredInstance",
    "OnHeartBeat",
    *(f"OnStable{level.word}" for level in Level if level != Level.INSTANCE),
    *(f"On{what}{level.word}" for what in ("Deleted", "Updated") for level in Level),
    *_JOBS.values(),
)
_HEART_BEAT = "OnHeartBeat"
_STORED = "OnStoredInstance"

Work = Callable[[], None]


class LuaEvents:
    """A queue of what happened, and the thread that tells scripts of it."""

    def __init__(
        self, interpreter: Interpreter, calls: LocalCalls, engine: Engine, heart_beat_seconds: int = 0
    ) -> None:
        self._interpreter, self._calls, self._engine = interpreter, calls, engine
        self._period = heart_beat_seconds
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._told = threading.Condition()
        self._queued_count = self._told_count = 0
        self._thread = threading.Thread(target=self._run, name="LUA-EVENTS", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Tell what is queued, and end; a script that does not come to an end is left alone."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def on_event(self, event: Event) -> None:
        """Queue an event if there is a callback for it; called on the thread of the publisher."""
        name = callback_of(event)
        if name is not None and name in self._interpreter.defined:
            with self._told:
                self._queued_count += 1
            self._queue.put(event)

    def is_behind(self, publish: Callable[[], None]) -> bool:
        """Whether something happened that scripts are not told of yet; `publish` has everything told to us."""
        if _STORED in self._interpreter.defined:
            publish()
        return self._told_count < self._queued_count

    def catch_up(self, patience_seconds: float) -> None:
        """Wait until scripts were told of all that has happened by now, or for some time."""
        with self._told:
            wanted = self._queued_count
            self._told.wait_for(lambda: self._told_count >= wanted, patience_seconds)

    def _run(self) -> None:
        next_beat = time.monotonic() + self._period
        while True:
            try:
                wait = max(0.0, next_beat - time.monotonic()) if self._period else None
                event = self._queue.get(timeout=wait)
            except queue.Empty:
                next_beat += self._period
                self.guard(_HEART_BEAT, lambda: self.call(_HEART_BEAT, dict))
                continue
            if event is None:
                return
            try:
                self._tell(event)
            finally:
                with self._told:
                    self._told_count += 1
                    self._told.notify_all()

    def _tell(self, event: Event) -> None:
        name = callback_of(event)
        assert name is not None
        self.guard(name, lambda: self._tell_arguments(name, event))

    def _tell_arguments(self, name: str, event: Event) -> None:
        try:
            arguments = self._arguments(event)
        except NotFound:  # Deleted before its turn came.
            return
        self.call(name, lambda: arguments)

    def guard(self, name: str, work: Work) -> None:
        """Do something for a callback; whatever scripts do wrong is logged."""
        try:
            work()
        except ScriptFailed as error:
            _log.error("Error in the Lua callback %s: %s", name, error)
        except ArchiveError as error:
            _log.error("The Lua callback %s failed: %s", name, error)
        except Exception:  # noqa: BLE001 - the rim of scripts.
            _log.exception("The Lua callback %s failed", name)

    def call(self, name: str, arguments: Callable[[], Mapping[str, Json]]) -> None:
        """Call a callback, and submit as one job what it orders."""
        values = list(arguments().values())

        def work() -> Json:
            self._interpreter.call("_InitializeJob")
            table = self._interpreter.table
            self._interpreter.call(name, *(to_lua(value, table) for value in values))
            ordered: LuaValue = self._interpreter.call("_AccessJob")
            return from_lua(ordered, keeps_texts=True)

        ordered = self._interpreter.hold(work, patience_seconds=float("inf"))
        if ordered:
            self._engine.submit(KIND, parameters(ordered), description="Lua")

    def _arguments(self, event: Event) -> dict[str, Json]:
        """What a callback is given."""
        match event:
            case InstanceReceived() | InstanceReceivedAgain():
                path = f"/instances/{event.public_ids[Level.INSTANCE]}"
                metadata = self._get(f"{path}/metadata?expand")
                return {
                    "id": event.public_ids[Level.INSTANCE],
                    "tags": self._get(f"{path}/simplified-tags"),
                    "metadata": metadata,
                    "origin": origin_of(metadata if isinstance(event, InstanceReceived) else event.origin),
                }
            case ResourceStable():
                path = f"/{event.level.plural}/{event.public_id}"
                return {
                    "id": event.public_id,
                    "tags": self._get(path)["MainDicomTags"],
                    "metadata": self._get(f"{path}/metadata?expand"),
                }
            case JobSubmitted() | JobSucceeded() | JobFailed():
                return {"id": event.job_id}
            case ResourceDeleted() | MetadataUpdated() | AttachmentUpdated():
                return {"id": event.public_id}
        raise NotFound("There is no callback for this event")

    def _get(self, target: str) -> Any:
        answer = self._calls.call("GET", target, is_builtin=True)
        if answer.status != 200:
            raise NotFound(f"{target} is not there")
        return orjson.loads(whole_body(answer))


def callback_of(event: Event) -> str | None:
    """The name of the callback for an event."""
    match event:
        case InstanceReceived() | InstanceReceivedAgain():
            return _STORED
        case ResourceStable():
            return f"OnStable{event.level.word}"
        case ResourceDeleted():
            return f"OnDeleted{event.level.word}"
        case MetadataUpdated() | AttachmentUpdated():
            return f"OnUpdated{event.level.word}"
        case JobSubmitted() | JobSucceeded() | JobFailed():
            return _JOBS[type(event)]
    return None


def origin_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """Who sent an instance, in the words of the callbacks."""
    found = {"RequestOrigin": metadata.get("Origin", "Unknown")}
    if metadata.get("RemoteIP"):
        found["RemoteIp"] = metadata["RemoteIP"]
    if found["RequestOrigin"] == "DicomProtocol":
        found["RemoteAet"] = metadata.get("RemoteAET", "")
        found["CalledAet"] = metadata.get("CalledAET", "")
    elif found["RequestOrigin"] == "RestApi":
        found["Username"] = metadata.get("HttpUsername", "")
    return found
