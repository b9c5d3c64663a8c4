"""Store-and-forward: the queues of what is to be sent to modalities and peers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hounsfield.errors import BadRequest
from hounsfield.forwarding.destinations import Destination, find_destination, queue_instances
from hounsfield.http.errors import BadFileFormat, ReadOnly, UnknownResource
from hounsfield.http.messages import Request, Response, answer_json, unsigned
from hounsfield.http.routing import Route
from hounsfield.index import deliveries
from hounsfield.index.database import Transaction
from hounsfield.index.deliveries import Backlog, Delivery, DestinationKind, Queue
from hounsfield.jobs.resources import instances_of, name_resources
from hounsfield.remote.modality import STORE_AND_FORWARD
from hounsfield.rest.job_options import boolean_field
from hounsfield.rest.neighbours import Neighbours, object_body, public_ids_of

_KINDS = {"modalities": DestinationKind.MODALITY, "peers": DestinationKind.PEER}
_WORDS = {kind: word for word, kind in _KINDS.items()}
_MOST_LISTED = 1000
_PURGES = ("All", "Failed", "Held")


def routes(neighbours: Neighbours) -> list[Route]:
    """The routes of the queues."""
    found = [Route("GET", "/forwarding", partial(list_queues, neighbours))]
    for word, kind in _KINDS.items():
        root = f"/forwarding/{word}/{{name}}"
        found += [
            Route("GET", root, partial(get_queue, neighbours, kind)),
            Route("GET", f"{root}/deliveries", partial(get_deliveries, neighbours, kind)),
            Route("POST", f"{root}/pause", partial(pause_queue, neighbours, kind)),
            Route("POST", f"{root}/resume", partial(resume_queue, neighbours, kind)),
            Route("POST", f"{root}/retry", partial(retry_queue, neighbours, kind)),
            Route("POST", f"{root}/redirect", partial(redirect_queue, neighbours, kind)),
            Route("POST", f"{root}/purge", partial(purge_queue, neighbours, kind)),
        ]
    return found


def is_to_be_queued(body: Mapping[str, Any], destination: Destination) -> bool:
    """Whether what a body asks to send is to be queued: as the body says, else as the destination is defined."""
    return boolean_field(body, STORE_AND_FORWARD, destination.node.is_forwarded)


def answer_queued(
    neighbours: Neighbours,
    destination: Destination,
    resources: Sequence[Mapping[str, str]],
    parameters: dict[str, object],
) -> Response:
    """Queue resources, and tell how many instances these are and where they wait.

    Raises
    ------
    ReadOnly
        If nothing may be written.
    """
    if neighbours.door.options.is_read_only:
        raise ReadOnly
    archive = neighbours.network.archive
    with archive.database.read() as tx:
        instances = instances_of(tx, resources)
    count = queue_instances(archive, destination, instances, parameters)
    return answer_json({"Queued": count, "Path": _path(destination.kind, destination.name)})


def check_queueable(body: Mapping[str, Any], *unfit: str) -> None:
    """Raise BadRequest if a body has members that make no sense for what is sent later."""
    found = [name for name in unfit if body.get(name)]
    if found:
        raise BadRequest(
            f"{', '.join(found)} cannot be given for what is queued: send it with {STORE_AND_FORWARD} false"
        )


def list_queues(neighbours: Neighbours, _request: Request) -> Response:
    """How all queues are: what waits, what failed and why, and when it is tried again."""
    with neighbours.network.archive.database.read() as tx:
        found = [(queue, deliveries.backlogs(tx, queue.id)) for queue in deliveries.list_queues(tx)]
    return answer_json([_describe(neighbours, queue, backlogs) for queue, backlogs in found])


def get_queue(neighbours: Neighbours, kind: DestinationKind, request: Request) -> Response:
    """How the queue of a destination is: what waits, what failed and why, and when it is tried again."""
    with neighbours.network.archive.database.read() as tx:
        queue = _queue(neighbours, tx, kind, request)
        backlogs = deliveries.backlogs(tx, queue.id)
    return answer_json(_describe(neighbours, queue, backlogs))


def get_deliveries(neighbours: Neighbours, kind: DestinationKind, request: Request) -> Response:
    """The instances in a queue, or those of them that belong to a resource."""
    since, limit = (unsigned(request.arguments.get(name, "0")) for name in ("since", "limit"))
    resource = request.arguments.get("resource")
    with neighbours.network.archive.database.read() as tx:
        queue = _queue(neighbours, tx, kind, request)
        if resource is None:
            found = deliveries.list_deliveries(tx, queue.id, since, min(limit or _MOST_LISTED, _MOST_LISTED))
        else:
            named = name_resources(tx, public_ids_of([resource]))
            found = deliveries.deliveries_of(tx, queue.id, instances_of(tx, named))
    destination = find_destination(neighbours.network, queue.kind, queue.name)
    target = None if destination is None else destination.target
    return answer_json([_describe_delivery(delivery, target) for delivery in found])


def pause_queue(neighbours: Neighbours, kind: DestinationKind, request: Request) -> Response:
    """Send nothing more to a destination until it is resumed; what is queued meanwhile waits."""
    return _change(
        neighbours, kind, request, lambda tx, queue: deliveries.set_paused(tx, queue.id, is_paused=True)
    )


def resume_queue(neighbours: Neighbours, kind: DestinationKind, request: Request) -> Response:
    """Go on with a queue that was paused."""
    return _change(
        neighbours, kind, request, lambda tx, queue: deliveries.set_paused(tx, queue.id, is_paused=False)
    )


def retry_queue(neighbours: Neighbours, kind: DestinationKind, request: Request) -> Response:
    """Try everything in a queue now, also what has failed."""
    now_ns = neighbours.door.intake.clock_ns()

    def retry(tx: Transaction, queue: Queue) -> None:
        deliveries.retry_now(tx, queue.id, now_ns)

    return _change(neighbours, kind, request, retry)


def redirect_queue(neighbours: Neighbours, kind: DestinationKind, request: Request) -> Response:
    """Send what is held, as its destination was defined otherwise when it was queued, to where that is now."""
    destination = find_destination(neighbours.network, kind, request.values["name"])
    if destination is None:
        raise UnknownResource(f"No {kind.value} is defined with this name")
    target = destination.target

    def redirect(tx: Transaction, queue: Queue) -> None:
        deliveries.redirect(tx, queue.id, target)

    return _change(neighbours, kind, request, redirect)


def purge_queue(neighbours: Neighbours, kind: DestinationKind, request: Request) -> Response:
    """Give up what is in a queue: `All` of it, what has `Failed`, or what is `Held`; the instances stay stored here."""
    what = object_body(request).get("What")
    if what not in _PURGES:
        raise BadFileFormat(f"What is to be purged must be one of {', '.join(_PURGES)}")
    destination = find_destination(neighbours.network, kind, request.values["name"])
    kept = "" if destination is None else destination.target

    def purge(tx: Transaction, queue: Queue) -> None:
        deliveries.purge(tx, queue.id, only_failed=what == "Failed", all_but=kept if what == "Held" else None)

    return _change(neighbours, kind, request, purge)


def _change(
    neighbours: Neighbours,
    kind: DestinationKind,
    request: Request,
    change: Callable[[Transaction, Queue], None],
) -> Response:
    """Change a queue, and tell how it is then."""
    with neighbours.network.archive.database.read() as tx:
        name = _queue(neighbours, tx, kind, request).name

    def work(tx: Transaction) -> tuple[Queue, list[Backlog]]:
        deliveries.open_queue(tx, kind, name)
        change(tx, _found(tx, kind, name))
        queue = _found(tx, kind, name)
        return queue, deliveries.backlogs(tx, queue.id)

    queue, backlogs = neighbours.network.archive.database.write(work)
    return answer_json(_describe(neighbours, queue, backlogs))


def _queue(neighbours: Neighbours, tx: Transaction, kind: DestinationKind, request: Request) -> Queue:
    """The queue of the destination in a request; an empty one if nothing was ever queued for it.

    Raises
    ------
    UnknownResource
        If it is not defined either.
    """
    name = request.values["name"]
    found = deliveries.find_queue(tx, kind, name)
    if found is None and find_destination(neighbours.network, kind, name) is None:
        raise UnknownResource(
            f"No {kind.value} is defined with this name, and nothing was ever queued for it"
        )
    return found or deliveries.new_queue(kind, name)


def _found(tx: Transaction, kind: DestinationKind, name: str) -> Queue:
    return deliveries.find_queue(tx, kind, name) or deliveries.new_queue(kind, name)


def _path(kind: DestinationKind, name: str) -> str:
    return f"/forwarding/{_WORDS[kind]}/{name}"


def _describe(neighbours: Neighbours, queue: Queue, backlogs: Sequence[Backlog]) -> dict[str, object]:
    destination = find_destination(neighbours.network, queue.kind, queue.name)
    target = None if destination is None else destination.target
    waiting = [each for each in backlogs if not each.is_failed]
    held = {each.target: each.count for each in waiting if each.target != target}
    ready = sum(each.count for each in waiting if each.target == target)
    now_ns = neighbours.door.intake.clock_ns()
    state, reason = _state(queue, ready, held, target, now_ns)
    due_ns = max([queue.retry_ns, *(each.next_ns for each in waiting if each.target == target)])
    return {
        "Kind": queue.kind.value,
        "Name": queue.name,
        "Path": _path(queue.kind, queue.name),
        "Target": target,
        "State": state,
        "Reason": reason,
        "Waiting": ready,
        "Held": sum(held.values()),
        "HeldFor": held,
        "Failed": sum(each.count for each in backlogs if each.is_failed),
        "Sent": queue.sent,
        "FailuresInARow": queue.attempts,
        "Oldest": _date(min((each.oldest_ns for each in waiting), default=0)),
        "NextAttempt": _date(due_ns) if ready and due_ns > now_ns and not queue.is_paused else None,
        "LastFailure": {"Time": _date(queue.error_ns), "Reason": queue.error} if queue.error_ns else None,
        "LastSuccess": _date(queue.success_ns),
    }


def _state(
    queue: Queue, ready: int, held: Mapping[str, int], target: str | None, now_ns: int
) -> tuple[str, str]:
    """A word for how a queue is, and what an administrator should know of it."""
    if queue.is_paused:
        return "Paused", "It was paused by a client of the REST interface."
    if queue.node and (queue.lease_ns > now_ns or not ready):
        return "Sending", ""
    if ready and queue.retry_ns > now_ns:
        return "Retrying", queue.error
    if ready:
        return "Waiting", ""
    if held and target is None:
        return (
            "Held",
            f"The {queue.kind.value} is not defined any more. Define it again, or purge what is held.",
        )
    if held:
        return (
            "Held",
            "It was queued for another place. Define that again, redirect what is held, or purge it.",
        )
    return "Idle", ""


def _describe_delivery(delivery: Delivery, target: str | None) -> dict[str, object]:
    state = "Failed" if delivery.is_failed else "Waiting"
    if not delivery.is_failed and delivery.target != target:
        state = "Held"
    return {
        "Sequence": delivery.id,
        "Instance": delivery.public_id,
        "Target": delivery.target,
        "State": state,
        "QueuedAt": _date(delivery.queued_ns),
        "Attempts": delivery.attempts,
        "NextAttempt": _date(delivery.retry_ns) if not delivery.is_failed else None,
        "LastFailure": delivery.error,
    }


def _date(time_ns: int) -> str | None:
    """A time in UTC as jobs have it; None for never."""
    if not time_ns:
        return None
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return (moment + timedelta(microseconds=time_ns % 1_000_000_000 // 1000)).strftime("%Y%m%dT%H%M%S.%f")


def figures(tx: Transaction) -> Iterator[tuple[str, float]]:
    """Figures about each queue, for those who watch the server."""
    for queue in deliveries.list_queues(tx):
        backlogs = deliveries.backlogs(tx, queue.id)
        waiting = [each for each in backlogs if not each.is_failed]
        label = f'{{kind="{queue.kind.value}",destination="{queue.name}"}}'
        yield f"hounsfield_forwarding_waiting{label}", sum(each.count for each in waiting)
        yield f"hounsfield_forwarding_failed{label}", sum(each.count for each in backlogs if each.is_failed)
        yield f"hounsfield_forwarding_sent_total{label}", queue.sent
        yield f"hounsfield_forwarding_failures_in_a_row{label}", queue.attempts
        oldest = min((each.oldest_ns for each in waiting), default=0)
        yield f"hounsfield_forwarding_oldest_time_s{label}", oldest // 1_000_000_000
