-- Several servers may share one index. What each of them remembers is worth nothing once another generation has begun.

ALTER TABLE totals ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;

-- What scripts and plugins keep.

CREATE TABLE key_values (
    store TEXT NOT NULL,
    name TEXT NOT NULL,
    value {bytes} NOT NULL,
    PRIMARY KEY (store, name)
) {clustered};

-- A value that was taken with a reservation is out of reach until reserved_until_ns.
CREATE TABLE queues (
    id {sequence},
    queue TEXT NOT NULL,
    value {bytes} NOT NULL,
    reserved_until_ns INTEGER NOT NULL
);
CREATE INDEX queues_by_queue ON queues (queue, id);

-- Who did what; level is -1 where no resource is concerned. Written once, never changed.
CREATE TABLE audit_logs (
    id {sequence},
    at_ns INTEGER NOT NULL,
    source TEXT NOT NULL,
    user_id TEXT NOT NULL,
    level INTEGER NOT NULL,
    resource_id TEXT NOT NULL,
    action TEXT NOT NULL,
    data {bytes} NOT NULL
);
CREATE INDEX audit_logs_by_time ON audit_logs (at_ns);
CREATE INDEX audit_logs_by_resource ON audit_logs (resource_id, at_ns);
CREATE INDEX audit_logs_by_user ON audit_logs (user_id, at_ns);
