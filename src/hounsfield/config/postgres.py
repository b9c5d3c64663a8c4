"""The section `PostgreSQL`, with the members of Orthanc's plugin."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from hounsfield.config.lenient_json import Json
from hounsfield.config.option import check
from hounsfield.config.refusal import Refusal
from hounsfield.config.table.database import POSTGRES_MEMBERS
from hounsfield.index.options import PostgresOptions

_OTHERS = ("MySQL", "Odbc")
_MEMBERS = {member.name: member for member in POSTGRES_MEMBERS}


def is_in_postgres(given: Mapping[str, Json]) -> bool:
    """Whether the index is in PostgreSQL.

    Orthanc's samples enable every database at once, and the plugin that is loaded decides. So where another
    database is enabled too, `Plugins` must name PostgreSQL.
    """
    section = given.get("PostgreSQL")
    if not isinstance(section, dict) or section.get("EnableIndex") is not True:
        return False
    return _names_postgres(given.get("Plugins")) or not any(_enables(given.get(name)) for name in _OTHERS)


def _enables(section: Json) -> bool:
    return isinstance(section, dict) and section.get("EnableIndex") is True


def _names_postgres(plugins: Json) -> bool:
    return _names(plugins, "PostgreSQL")


def _names(plugins: Json, database: str) -> bool:
    return isinstance(plugins, list) and any(database.lower() in str(path).lower() for path in plugins)


def ambiguity(given: Mapping[str, Json]) -> Iterator[str]:
    """A warning where a database is enabled and another one is used."""
    others = " and ".join(f'"{name}"' for name in _OTHERS if _enables(given.get(name)))
    if not others:
        return
    if is_in_postgres(given):
        yield f"The index is kept in PostgreSQL; {others}, enabled too, has no effect"
    elif _enables(given.get("PostgreSQL")):
        yield (
            f'The index is kept in SQLite: both "PostgreSQL" and {others} are enabled. To use PostgreSQL, remove '
            'the other sections, or name OrthancPostgreSQLIndex in "Plugins"'
        )
    else:
        yield f'The index is kept in SQLite; {others} cannot be used. "PostgreSQL" can'


def check_postgres(given: Mapping[str, Json]) -> Iterator[Refusal]:
    """Reasons not to start: another database is meant, wrong types, and files that would have to be in the database."""
    for name in _OTHERS:
        if _enables(given.get(name)) and _names(given.get("Plugins"), name) and not is_in_postgres(given):
            # With SQLite instead, the archive would seem to be empty.
            yield Refusal(
                2, f'The index cannot be kept in {name}: use "PostgreSQL", or remove the section "{name}"'
            )
    section = given.get("PostgreSQL")
    if not isinstance(section, dict):
        return
    for name, member in _MEMBERS.items():
        found = check(replace(member, name=f"PostgreSQL.{name}"), section[name]) if name in section else None
        if found is not None:
            yield found
    if section.get("EnableStorage") is True and is_in_postgres(given):
        yield Refusal(
            2,
            'Files cannot be kept in PostgreSQL: set "EnableStorage" to false; they are kept in "StorageDirectory"',
        )


def unknown_members(given: Mapping[str, Json]) -> Iterator[str]:
    """Warnings about members that do not exist."""
    section = given.get("PostgreSQL")
    for name in section if isinstance(section, dict) else ():
        if name not in _MEMBERS:
            near = difflib.get_close_matches(name, _MEMBERS, n=1, cutoff=0.75)
            yield f'Unknown member "{name}" of "PostgreSQL"' + (
                f', did you mean "{near[0]}"?' if near else ", it has no effect"
            )


def read_postgres(section: Mapping[str, Json], node: str) -> PostgresOptions:
    """How to reach the index in PostgreSQL."""

    def get(name: str) -> Json:
        return section.get(name, _MEMBERS[name].default)

    def text(name: str) -> str:
        return str(get(name))

    def number(name: str) -> int:
        value = get(name)
        return value if isinstance(value, int) else 0

    return PostgresOptions(
        host=text("Host"),
        port=number("Port"),
        database=text("Database"),
        username=text("Username"),
        password=text("Password"),
        uri=text("ConnectionUri"),
        is_encrypted=get("EnableSsl") is True,
        is_locked=get("Lock") is True,
        retries=number("MaximumConnectionRetries"),
        retry_seconds=number("ConnectionRetryInterval"),
        connections=number("IndexConnectionsCount"),
        is_serializable=get("TransactionMode") == "Serializable",
        schema=text("Schema"),
        application_name=text("ApplicationName"),
        node=node,
    )
