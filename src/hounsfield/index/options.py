"""What an administrator may choose about a database server."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """How to reach PostgreSQL, and how several servers share it. Times in seconds.

    `uri` is one of libpq's and stands for `host` to `is_encrypted`. With `is_locked` no other server may use the same
    schema. `node`, twelve hexadecimal digits, names this server among those that share it.
    """

    host: str = "localhost"
    port: int = 5432
    database: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    uri: str = field(default="", repr=False)
    is_encrypted: bool = False
    is_locked: bool = True
    retries: int = 10
    retry_seconds: float = 5.0
    connections: int = 50
    is_serializable: bool = False
    schema: str = "public"
    application_name: str = ""
    node: str = ""
