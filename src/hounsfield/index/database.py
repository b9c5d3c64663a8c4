"""What an index database promises: transactions, and nothing else.

Operations are functions over a `Transaction`, grouped by concept in the other modules of this room; their SQL
is written once for every database, with `?` for parameters.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from hounsfield.dicom.levels import Level

Row = tuple[Any, ...]
Item = TypeVar("Item")
T = TypeVar("T")


TOTALS = (
    "patients",
    "studies",
    "series",
    "instances",
    "size",
    "stored_size",
    "synchronisations",
    "generation",
)
"""What is counted of the whole archive; the generation is that of the memos of all servers."""


@dataclass(slots=True)
class Pending:
    """What a transaction writes only once, before it commits, however many instances it holds."""

    totals: dict[str, int] = field(default_factory=dict)
    received: dict[tuple[int, int], tuple[str, int]] = field(default_factory=dict)
    updated: dict[tuple[int, int], str] = field(default_factory=dict)
    last_change: int = 0
    topics: set[str] = field(default_factory=set)

    def count(self, name: str, amount: int) -> None:
        """Add to one of the totals."""
        self.totals[name] = self.totals.get(name, 0) + amount

    def merge(self, other: "Pending") -> None:
        """Add what another part of the same transaction left."""
        for name, amount in other.totals.items():
            self.count(name, amount)
        self.received.update(other.received)
        self.updated.update(other.updated)
        self.last_change = max(self.last_change, other.last_change)
        self.topics |= other.topics


def node_task(node: str) -> str:
    """The task that a server that shares an index does alone as long as it is alive: being this node."""
    return f"node {node}"


class Memo(Protocol):
    """What is known under some keys."""

    def get(self, key: Any, /) -> Any:
        """What is known, or None."""
        ...

    def __setitem__(self, key: Any, value: Any, /) -> None: ...


class Transaction(Protocol):
    """A consistent view of the index, and in `write` the right to change it."""

    pending: Pending

    @property
    def memo(self) -> Memo:
        """What writers of this process found out and may use again, as long as nothing they found is undone.

        `forget` it when rows are deleted, or changed otherwise than by receiving instances.
        """
        ...

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """All rows of a query."""
        ...

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """The first row of a query."""
        ...

    def stream(self, sql: str, *parameters: Any) -> Iterable[Row]:
        """The rows of a query, one after the other; to be read before the transaction ends."""
        ...

    def run(self, sql: str, *parameters: Any) -> int:
        """Execute a statement; the number of rows it changed."""
        ...

    def send(self, sql: str, *parameters: Any) -> None:
        """Execute a statement of which nothing needs to be known.

        It may be executed only when the next answer is wanted, which saves a round trip to a database elsewhere.
        """
        ...

    def insert(self, sql: str, *parameters: Any) -> int:
        """Execute an INSERT into a table whose first column is its `id` or `seq`; the new one."""
        ...

    def forget(self) -> None:
        """Empty the memos of all servers: what they hold may be wrong from now on."""
        ...

    def tell(self, topic: str) -> None:
        """Once this is committed, call those who listen, on all servers: `topic` is a word of what changed."""
        ...

    def next_change(self) -> int:
        """A number for an entry of the log of changes: larger than all before."""
        ...

    def total(self, name: str) -> int:
        """One of the totals, with what this transaction added to it so far."""
        ...

    def has_received(self, level: Level, resource: int) -> bool:
        """Whether this transaction added an instance below a row, whose dates are written only before the commit."""
        ...

    def json_text(self, column: str, key: str) -> str:
        """The SQL expression for the text under `key` in a column of JSON; `key` must be ours, not a caller's."""
        ...

    def number(self, expression: str, *, is_integer: bool) -> str:
        """The SQL expression for the number that a text begins with; some number if it begins with none."""
        ...


class Reader(Protocol):
    """An index that is only read, whoever writes to it meanwhile."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A snapshot of what was committed."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


class Database(Protocol):
    """An index, which several servers may share."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is in a process of its own: asking takes time, and it may lose what was not durable on its own."""
        ...

    @property
    def state(self) -> int | None:
        """A number that is another one after every commit; None if other servers may commit too."""
        ...

    @property
    def forgotten(self) -> int | None:
        """A number that is another one once rows may have been deleted; None if other servers may delete some too."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """A snapshot of what was committed."""
        ...

    def peek(self, *, may_lag: bool = False) -> AbstractContextManager[Transaction]:
        """As `read`, for a single statement: two of them may see different states.

        With `may_lag` what was written by `write_soon` may not be there yet, and is not waited for.
        """
        ...

    def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `work` in a transaction, with others that wait at the same time, and commit.

        With `durable` the commit survives a power cut. Without, it is visible to every later transaction but a
        power cut may take it back: for rows that can be made again from a file that is itself durable.
        `work` must touch nothing but the transaction: it may share it, be undone, and be run again. No network, disk or
        decoding in it.
        """
        ...

    def write_soon(
        self,
        work: Callable[[Transaction, Sequence[Item]], Sequence[T]],
        item: Item,
        done: Callable[[T], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """As `write` that is not durable, but it may return before the commit, which many then share.

        `work` gets the items that came with it one after the other, maybe this one alone, and gives the result of
        each; if it fails for several, it is tried for each alone. Whoever reads or writes afterwards finds it
        committed. Then `done` is called with the result of this item, or `failed` with the error, on any thread; they
        return soon and raise nothing. What is known to fail by now is raised.
        """
        ...

    def finish(self) -> None:
        """Commit what `write_soon` left for later, and return when those who wait for it were told."""
        ...

    def sync(self) -> int:
        """Make everything committed so far durable; how many times that was done in the life of the index."""
        ...

    def subscribe(self, subscriber: Callable[[str], None]) -> None:
        """Call `subscriber` with each topic that a transaction of any server told, and with "" when some were missed.

        It must return at once and not write.
        """
        ...

    def alone(self, task: str) -> AbstractContextManager[bool]:
        """Whether this server alone does a task meanwhile; if not, another one is doing it.

        Should the connection be lost, another server may begin too: what is done must bear that.
        """
        ...

    def count_active(self) -> int:
        """How many connections read just now; 0 where that is nothing to watch."""
        ...

    def maintain(self) -> None:
        """Do what can wait until nothing much happens; others may read and write meanwhile."""
        ...

    def close(self) -> None:
        """Finish what was begun and release the database."""
        ...
