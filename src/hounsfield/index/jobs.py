"""Jobs, as rows that every node sees.

Each change of state compares what it finds with what it expects, in one statement: of two nodes that want the same
job, one gets it.
"""

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass, fields, replace
from enum import Enum

from hounsfield.index.database import Transaction


class JobState(Enum):
    """What a job is doing; the values are Orthanc's."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESS = "Success"
    FAILURE = "Failure"
    PAUSED = "Paused"
    RETRY = "Retry"


TOPIC = "jobs"
"""What is told to all servers when a job may be taken, has ended, or is wanted to do something."""
FINISHED = (JobState.SUCCESS, JobState.FAILURE)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job. `parameters`, `state_json`, `content`, `user_data` and `error_payload` are JSON; times are nanoseconds."""

    id: str
    kind: str
    state: JobState
    priority: int
    created_ns: int
    completed_ns: int = 0
    changed_ns: int = 0
    retry_ns: int = 0
    runtime_ns: int = 0
    progress_ppm: int = 0
    is_permissive: bool = False
    is_saved: bool = True
    description: str = ""
    parameters: str = "{}"
    state_json: str = "{}"
    content: str = "{}"
    user_data: str | None = None
    error_code: int = 0
    error_text: str = "Success"
    error_details: str = ""
    error_payload: str | None = None
    node: str = ""
    lease_ns: int = 0
    wish: str = ""


_COLUMNS = tuple(each.name for each in fields(JobRow))
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM jobs"
_INSERT = f"INSERT INTO jobs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


def add_job(tx: Transaction, job: JobRow) -> None:
    """Add a job."""
    values = (value.value if isinstance(value, JobState) else value for value in astuple(job))
    tx.tell(TOPIC)
    tx.run(_INSERT, *(int(value) if isinstance(value, bool) else value for value in values))


def get_job(tx: Transaction, job_id: str) -> JobRow | None:
    """A job, or None."""
    found = tx.row(f"{_SELECT} WHERE id = ?", job_id)
    return _row(found) if found else None


def list_jobs(tx: Transaction) -> list[JobRow]:
    """All jobs, by id."""
    return [_row(found) for found in tx.rows(f"{_SELECT} ORDER BY id")]


def job_ids(tx: Transaction) -> list[str]:
    """The ids of all jobs, in order."""
    return [found[0] for found in tx.rows("SELECT id FROM jobs ORDER BY id")]


def count_jobs(tx: Transaction) -> dict[JobState, int]:
    """How many jobs there are in each state."""
    return {
        JobState(state): int(count)
        for state, count in tx.rows("SELECT state, COUNT(*) FROM jobs GROUP BY state")
    }


def next_pending(tx: Transaction, kinds: Collection[str], node: str) -> JobRow | None:
    """The job that `node` should run next: the highest priority first, then the oldest."""
    if not kinds:
        return None
    found = tx.row(
        f"{_SELECT} WHERE state = 'Pending' AND (node = '' OR node = ?) AND kind IN ({_marks(kinds)})"
        " ORDER BY priority DESC, created_ns LIMIT 1",
        node,
        *kinds,
    )
    return _row(found) if found else None


def claim(tx: Transaction, job_id: str, node: str, now_ns: int, lease_ns: int) -> bool:
    """Make a pending job run on `node`; False if somebody was faster."""
    return (
        tx.run(
            "UPDATE jobs SET state = 'Running', node = ?, lease_ns = ?, changed_ns = ?, wish = ''"
            " WHERE id = ? AND state = 'Pending' AND (node = '' OR node = ?)",
            node,
            lease_ns,
            now_ns,
            job_id,
            node,
        )
        == 1
    )


def save_progress(tx: Transaction, job: JobRow) -> bool:
    """Save how far a job came; False if its node has lost it, by deletion or by the end of its lease."""
    return (
        tx.run(
            "UPDATE jobs SET changed_ns = ?, runtime_ns = ?, progress_ppm = ?, state_json = ?, content = ?"
            " WHERE id = ? AND node = ? AND state IN ('Running', 'Paused')",
            job.changed_ns,
            job.runtime_ns,
            job.progress_ppm,
            job.state_json,
            job.content,
            job.id,
            job.node,
        )
        == 1
    )


def leave_running(tx: Transaction, job: JobRow, node: str) -> bool:
    """Give a job that `node` runs the state and all else of `job`; False if the node has lost it."""
    tx.tell(TOPIC)
    return (
        tx.run(
            "UPDATE jobs SET state = ?, completed_ns = ?, changed_ns = ?, retry_ns = ?, runtime_ns = ?,"
            " progress_ppm = ?, state_json = ?, content = ?, error_code = ?, error_text = ?, error_details = ?,"
            " error_payload = ?, node = ?, lease_ns = ?, wish = '' WHERE id = ? AND node = ?"
            " AND state IN ('Running', 'Paused')",
            job.state.value,
            job.completed_ns,
            job.changed_ns,
            job.retry_ns,
            job.runtime_ns,
            job.progress_ppm,
            job.state_json,
            job.content,
            job.error_code,
            job.error_text,
            job.error_details,
            job.error_payload,
            job.node,
            job.lease_ns,
            job.id,
            node,
        )
        == 1
    )


def change_state(tx: Transaction, job: JobRow, expected: Sequence[JobState]) -> bool:
    """Give a job that nobody runs a new state, with its times and error; False if it is in none of `expected`."""
    tx.tell(TOPIC)
    return (
        tx.run(
            "UPDATE jobs SET state = ?, completed_ns = ?, changed_ns = ?, retry_ns = 0, runtime_ns = ?,"
            " progress_ppm = ?, state_json = ?, error_code = ?, error_text = ?, error_details = ?, error_payload = ?,"
            f" wish = '' WHERE id = ? AND state IN ({_marks(expected)})",
            job.state.value,
            job.completed_ns,
            job.changed_ns,
            job.runtime_ns,
            job.progress_ppm,
            job.state_json,
            job.error_code,
            job.error_text,
            job.error_details,
            job.error_payload,
            job.id,
            *(state.value for state in expected),
        )
        == 1
    )


def set_wish(tx: Transaction, job_id: str, wish: str) -> bool:
    """Tell the node that runs a job what is wanted of it; False if nobody runs it."""
    tx.tell(TOPIC)
    return tx.run("UPDATE jobs SET wish = ? WHERE id = ? AND state = 'Running'", wish, job_id) == 1


def wishes(tx: Transaction, node: str) -> dict[str, str]:
    """What others want of the jobs of `node`, by their ids."""
    return dict(tx.rows("SELECT id, wish FROM jobs WHERE node = ? AND wish <> ''", node))


def delete_finished(tx: Transaction, job_id: str) -> bool:
    """Delete a job that is finished; False if there is none."""
    return tx.run("DELETE FROM jobs WHERE id = ? AND state IN ('Success', 'Failure')", job_id) == 1


def trim_history(tx: Transaction, kept: int) -> list[str]:
    """Delete all but the last `kept` finished jobs; the ids of those deleted."""
    gone = [
        found[0]
        for found in tx.rows(
            "SELECT id FROM jobs WHERE state IN ('Success', 'Failure')"
            " ORDER BY completed_ns DESC, id LIMIT 1000 OFFSET ?",
            kept,
        )
    ]
    for job_id in gone:
        tx.run("DELETE FROM jobs WHERE id = ?", job_id)
    return gone


def running_on(tx: Transaction, node: str) -> list[str]:
    """The ids of the saved jobs that `node` runs."""
    return [
        found[0]
        for found in tx.rows(
            "SELECT id FROM jobs WHERE node = ? AND state = 'Running' AND is_saved = 1", node
        )
    ]


def release_running(tx: Transaction, job_id: str, node: str) -> bool:
    """Let go of a job that `node` does not run after all; False if it has it no more."""
    return (
        tx.run(
            "UPDATE jobs SET state = 'Pending', node = '', wish = '' WHERE id = ? AND node = ? AND state = 'Running'",
            job_id,
            node,
        )
        == 1
    )


def renew_leases(tx: Transaction, node: str, lease_ns: int) -> int:
    """Go on owning the unfinished jobs of `node` until `lease_ns`; how many these are."""
    return tx.run(
        "UPDATE jobs SET lease_ns = ? WHERE node = ? AND state IN ('Pending', 'Running', 'Paused', 'Retry')",
        lease_ns,
        node,
    )


def has_unfinished(tx: Transaction, node: str) -> bool:
    """Whether there are jobs for `renew_leases`."""
    return (
        tx.row(
            "SELECT 1 FROM jobs WHERE node = ? AND state IN ('Pending', 'Running', 'Paused', 'Retry') LIMIT 1",
            node,
        )
        is not None
    )


def release_expired(tx: Transaction, now_ns: int) -> int:
    """Let go of the jobs whose node is dead: a saved one is pending again; how many these are."""
    tx.run(
        "DELETE FROM jobs WHERE node <> '' AND lease_ns < ? AND is_saved = 0 AND"
        " state IN ('Pending', 'Running', 'Paused', 'Retry')",
        now_ns,
    )
    return tx.run(
        "UPDATE jobs SET state = 'Pending', node = '', wish = '' WHERE state = 'Running' AND lease_ns < ?",
        now_ns,
    )


def has_expired(tx: Transaction, now_ns: int) -> bool:
    """Whether there are jobs for `release_expired`."""
    unfinished = "state IN ('Pending', 'Running', 'Paused', 'Retry')"
    return (
        tx.row(f"SELECT 1 FROM jobs WHERE node <> '' AND lease_ns < ? AND {unfinished} LIMIT 1", now_ns)
        is not None
    )


def release_earlier_runs(tx: Transaction, server: str) -> None:
    """Let go of the jobs of earlier runs of a server: the names of their nodes begin with its own."""
    pattern = f"{server}%"
    tx.run("DELETE FROM jobs WHERE node LIKE ? AND is_saved = 0", pattern)
    tx.run(
        "UPDATE jobs SET state = 'Pending', node = '', wish = '' WHERE node LIKE ? AND state = 'Running'",
        pattern,
    )


def release_all(tx: Transaction) -> None:
    """Let go of the jobs of every node, for the only node there is: those of its own last run."""
    tx.run("DELETE FROM jobs WHERE is_saved = 0")
    tx.run("UPDATE jobs SET node = '', wish = ''")
    tx.run("UPDATE jobs SET state = 'Pending' WHERE state = 'Running'")


def drop_node(tx: Transaction, node: str) -> None:
    """Delete the unsaved jobs of a node."""
    tx.run("DELETE FROM jobs WHERE node = ? AND is_saved = 0", node)


def drop_all(tx: Transaction) -> None:
    """Delete every job that nobody runs."""
    tx.run("DELETE FROM jobs WHERE node = ''")


def wake_retries(tx: Transaction, now_ns: int) -> int:
    """Make those pending that waited long enough to be tried again; how many these are."""
    return tx.run(
        "UPDATE jobs SET state = 'Pending', retry_ns = 0, changed_ns = ? WHERE state = 'Retry' AND retry_ns <= ?",
        now_ns,
        now_ns,
    )


def next_retry(tx: Transaction) -> int | None:
    """When the first job is to be tried again; None if there is none."""
    (found,) = tx.row("SELECT MIN(retry_ns) FROM jobs WHERE state = 'Retry'") or (None,)
    return None if found is None else int(found)


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def _row(found: tuple[object, ...]) -> JobRow:
    row = JobRow(*found)  # type: ignore[arg-type]
    return replace(
        row,
        state=JobState(row.state),
        is_permissive=bool(row.is_permissive),
        is_saved=bool(row.is_saved),
    )
