"""Options of the database of the index."""

import json

from hounsfield.config.option import Effect, Kind, Option, Section

_NOT_NEEDED = "there are no tables of this kind"

POSTGRES_MEMBERS: tuple[Option, ...] = (
    Option(
        "EnableIndex",
        Kind.BOOLEAN,
        False,
        "keep the index in PostgreSQL instead of SQLite; where MySQL or Odbc are enabled too, only if Plugins names "
        "OrthancPostgreSQLIndex",
    ),
    Option(
        "EnableStorage",
        Kind.BOOLEAN,
        False,
        "files in the database, which is not supported: the server does not start when it is true",
    ),
    Option("Host", Kind.TEXT, "localhost", "name of the machine"),
    Option("Port", Kind.COUNT, 5432, "port", minimum=1, maximum=65535),
    Option("Database", Kind.TEXT, "", "name of the database"),
    Option("Username", Kind.TEXT, "", "name of the user"),
    Option("Password", Kind.TEXT, "", "password"),
    Option("ConnectionUri", Kind.TEXT, "", "URI of libpq, instead of the six above and `EnableSsl`"),
    Option("EnableSsl", Kind.BOOLEAN, False, "encrypt the connection"),
    Option("Lock", Kind.BOOLEAN, True, "keep other servers out; false lets several share the index"),
    Option("MaximumConnectionRetries", Kind.COUNT, 10, "how often to try again, also after a conflict"),
    Option("ConnectionRetryInterval", Kind.COUNT, 5, "seconds between two attempts at the start"),
    Option("IndexConnectionsCount", Kind.COUNT, 50, "most connections for reading", minimum=1),
    Option(
        "TransactionMode",
        Kind.TEXT,
        "ReadCommitted",
        "isolation of transactions that write: they never run at the same time, so both are equally safe",
        choices=("ReadCommitted", "Serializable", "Default"),
    ),
    Option("Schema", Kind.TEXT, "public", "schema of our tables, which must exist"),
    Option("ApplicationName", Kind.TEXT, "", "name shown in the lists of PostgreSQL"),
    *(
        Option(name, kind, default, "understood, and not needed", effect=Effect.IGNORED, reason=_NOT_NEEDED)
        for name, kind, default in (
            ("UseDynamicConnectionPool", Kind.BOOLEAN, False),
            ("EnableVerboseLogs", Kind.BOOLEAN, False),
            ("HousekeepingInterval", Kind.COUNT, 1),
            ("AllowInconsistentChildCounts", Kind.BOOLEAN, False),
        )
    ),
)


def _described(member: Option) -> str:
    return f"`{member.name}` ({json.dumps(member.default)}): {member.meaning}"


DATABASE = Section(
    "Database",
    (
        Option(
            "PostgreSQL",
            Kind.OBJECT,
            {},
            "The index in PostgreSQL (see docs/databases.md), with the members and defaults of Orthanc's plugin. "
            + "; ".join(_described(member) for member in POSTGRES_MEMBERS)
            + ".",
        ),
    ),
)
