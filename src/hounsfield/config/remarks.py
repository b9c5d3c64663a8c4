"""What an administrator should know about a configuration that is good enough to start with."""

import difflib
from collections.abc import Iterator, Mapping

from hounsfield.config.lenient_json import Json
from hounsfield.config.option import Effect
from hounsfield.config.options import OPTIONS, PLUGIN_SECTIONS
from hounsfield.config.postgres import ambiguity, unknown_members

# Printed in Orthanc's documentation and samples.
WELL_KNOWN_ACCOUNTS = {("orthanc", "orthanc"), ("alice", "alicePassword"), ("alice", "orthanctest")}


def remarks(given: Mapping[str, Json]) -> Iterator[str]:
    """Warnings about names nobody knows, options without effect, and dangerous choices."""
    for name, value in given.items():
        if name in OPTIONS:
            yield from _without_effect(name, value)
        elif name in PLUGIN_SECTIONS:
            yield from _plugin_section(name, value)
        else:
            yield from _unknown(name)
    yield from _access(given)
    yield from _storage(given)
    yield from unknown_members(given)
    yield from ambiguity(given)


def _without_effect(name: str, value: Json) -> Iterator[str]:
    option = OPTIONS[name]
    is_default = value == option.default or not (value or option.default)
    if option.effect is Effect.IGNORED and not is_default:
        yield f'The option "{name}" has no effect: {option.reason}'


def _plugin_section(name: str, value: Json) -> Iterator[str]:
    if isinstance(value, dict) and value and value.get("Enable") is not False:
        yield f'The section "{name}" has no effect: it configures a plugin of Orthanc that has no counterpart yet'


def _unknown(name: str) -> Iterator[str]:
    near = difflib.get_close_matches(name, (*OPTIONS, *PLUGIN_SECTIONS), n=1, cutoff=0.75)
    yield f'Unknown option "{name}"' + (f', did you mean "{near[0]}"?' if near else ", it has no effect")


def _access(given: Mapping[str, Json]) -> Iterator[str]:
    users = given.get("RegisteredUsers")
    remote = given.get("RemoteAccessAllowed") is True
    authentication = given.get("AuthenticationEnabled", remote) is True
    if remote and not authentication:
        yield (
            'Everybody on the network can read and delete everything: "RemoteAccessAllowed" is true and '
            '"AuthenticationEnabled" is false'
        )
    if authentication and not users:
        yield 'Nobody can log in: authentication is on and "RegisteredUsers" is empty'
    if isinstance(users, dict) and authentication:
        for user, password in users.items():
            if isinstance(password, str) and (user, password) in WELL_KNOWN_ACCOUNTS:
                yield f'The password of the user "{user}" is printed in the documentation: change it'


def _storage(given: Mapping[str, Json]) -> Iterator[str]:
    if given.get("SyncStorageArea") is False:
        yield 'A power cut can lose the last instances: "SyncStorageArea" is false'
    if given.get("MaximumStorageMode", "Recycle") not in ("Recycle", "Reject"):
        yield (
            'Unknown value of "MaximumStorageMode", which is Recycle or Reject: new instances will be refused at '
            "the limit, and nothing is deleted"
        )
