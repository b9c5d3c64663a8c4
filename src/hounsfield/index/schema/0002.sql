-- Jobs. `node` owns the job until `lease_ns`, and is empty when nobody does; `wish` is what was asked of a job that
-- another node runs. An unsaved job lives and dies with its node. `parameters` never change; `state_json` is what the
-- job itself remembers, `content` what it tells. Times are nanoseconds since 1970, 0 for never.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    completed_ns INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL,
    retry_ns INTEGER NOT NULL,
    runtime_ns INTEGER NOT NULL,
    progress_ppm INTEGER NOT NULL,
    is_permissive INTEGER NOT NULL,
    is_saved INTEGER NOT NULL,
    description TEXT NOT NULL,
    parameters TEXT NOT NULL,
    state_json TEXT NOT NULL,
    content TEXT NOT NULL,
    user_data TEXT,
    error_code INTEGER NOT NULL,
    error_text TEXT NOT NULL,
    error_details TEXT NOT NULL,
    error_payload TEXT,
    node TEXT NOT NULL,
    lease_ns INTEGER NOT NULL,
    wish TEXT NOT NULL
);
CREATE INDEX jobs_by_state ON jobs (state, priority, created_ns);
CREATE INDEX jobs_by_node ON jobs (node);
