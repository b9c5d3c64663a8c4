"""How long to wait, and how often to try."""

import random
from dataclasses import dataclass

_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class ForwardingOptions:
    """How deliveries are made.

    After a failure nothing is tried for `first_delay_seconds`, then for twice as long each time, at most for
    `maximum_delay_seconds`. An instance that was refused `maximum_attempts` times, or that waited for
    `maximum_age_seconds`, has failed; 0 is no limit. `concurrent` destinations are served at a time. With `is_shared`
    other nodes use the same index; see `jobs.ledger.EngineOptions` for `lease_seconds` and `server`.
    """

    first_delay_seconds: float = 5.0
    maximum_delay_seconds: float = 600.0
    maximum_attempts: int = 20
    maximum_age_seconds: float = 0.0
    concurrent: int = 16
    is_shared: bool = False
    lease_seconds: float = 30.0
    server: str = ""


def delay_seconds(options: ForwardingOptions, failures: int) -> float:
    """How long to wait after so many failures in a row: it doubles, and varies so that not all come back at once.

    >>> options = ForwardingOptions(first_delay_seconds=8, maximum_delay_seconds=100)
    >>> all(4 <= delay_seconds(options, 1) <= 8 for _ in range(100))
    True
    >>> all(50 <= delay_seconds(options, 99) <= 100 for _ in range(100))
    True
    """
    doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
    whole = min(options.first_delay_seconds * 2.0**doublings, options.maximum_delay_seconds)
    return whole * random.uniform(0.5, 1.0)
