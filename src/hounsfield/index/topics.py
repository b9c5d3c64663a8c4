"""Who wants to know that something was committed."""

from collections.abc import Callable


class Topics:
    """Hands each topic to every subscriber; they must return at once and not write."""

    def __init__(self) -> None:
        self._subscribers: tuple[Callable[[str], None], ...] = ()

    def subscribe(self, subscriber: Callable[[str], None]) -> None:
        """Call `subscriber` with each topic from now on."""
        self._subscribers = (*self._subscribers, subscriber)

    def tell(self, topic: str) -> None:
        """Hand a topic to all."""
        for subscriber in self._subscribers:
            subscriber(topic)
