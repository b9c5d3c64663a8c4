-- What is still to be sent to others, and one queue for each of them. A queue is worked on by `node` until `lease_ns`.
-- `attempts` counts the failures since the last success, and nothing is tried before `retry_ns`. Times are nanoseconds
-- since 1970, 0 for never.

CREATE TABLE delivery_queues (
    id {id},
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    is_paused INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    retry_ns INTEGER NOT NULL,
    error TEXT NOT NULL,
    error_ns INTEGER NOT NULL,
    success_ns INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    node TEXT NOT NULL,
    lease_ns INTEGER NOT NULL,
    UNIQUE (kind, name)
);

-- `target` is where the destination was when this was queued: what is queued for another place is held back. `revision`
-- grows when an instance is queued again while it waits, so that a delivery that is under way does not end the new one.
CREATE TABLE deliveries (
    id {sequence},
    queue INTEGER NOT NULL,
    target TEXT NOT NULL,
    instance {bytes} NOT NULL,
    patient {bytes} NOT NULL,
    is_failed INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    parameters TEXT NOT NULL,
    queued_ns INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    retry_ns INTEGER NOT NULL,
    error TEXT NOT NULL,
    UNIQUE (queue, target, instance)
);
CREATE INDEX deliveries_by_turn ON deliveries (queue, target, is_failed, id);
CREATE INDEX deliveries_by_retry ON deliveries (queue, target, is_failed, retry_ns);
CREATE INDEX deliveries_by_patient ON deliveries (patient, is_failed);
