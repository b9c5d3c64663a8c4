"""The audit log, as Explorer 2 asks for it."""

import base64

import pytest
from tests.rest.builders import Builder, Server

from hounsfield.dicom.levels import Level
from hounsfield.index.audit import AuditEntry, log_audit

PATH = "/plugins/postgresql/audit-logs"
START_NS = 1_754_911_555_639_000_000  # 2025-08-11T11:25:55.639Z
ENTRIES = (
    AuditEntry(START_NS, "auth", "alice", Level.STUDY, "s1", "view", b'{"a": 1}'),
    AuditEntry(START_NS + 10**9, "auth", "bob", None, "", "login", b""),
    AuditEntry(START_NS + 2 * 10**9, "python", "bob", Level.INSTANCE, "i1", "view", b"\xffraw"),
)


@pytest.fixture
def filled(build: Builder) -> Server:
    server = build()
    for entry in ENTRIES:
        server.database.write(lambda tx, entry=entry: log_audit(tx, entry))  # type: ignore[misc]
    return server


def test_entries_are_told_by_time(filled: Server) -> None:
    found = filled.get(PATH)
    assert found[0] == {
        "SourcePlugin": "auth",
        "Timestamp": "2025-08-11T11:25:55.639Z",
        "UserId": "alice",
        "ResourceType": "Study",
        "ResourceId": "s1",
        "Action": "view",
        "Base64LogData": base64.b64encode(b'{"a": 1}').decode(),
    }
    assert [entry["UserId"] for entry in found] == ["alice", "bob", "bob"]
    assert found[1]["ResourceType"] == "None"


def test_data_may_be_told_as_json_where_they_are_json(filled: Server) -> None:
    first, second, third = filled.get(f"{PATH}?log-data-format=json")
    assert first["JsonLogData"] == {"a": 1}
    assert second["JsonLogData"] is None
    assert third["Base64LogData"] == base64.b64encode(b"\xffraw").decode()


@pytest.mark.parametrize(
    ("question", "users"),
    [
        ("user-id=bob", ["bob", "bob"]),
        ("action=view", ["alice", "bob"]),
        ("resource-id=s1", ["alice"]),
        ("from-timestamp=2025-08-11T11:25:56.639Z", ["bob", "bob"]),
        ("to-timestamp=2025-08-11T11:25:56.639Z", ["alice"]),
        ("to-timestamp=20250811T112556.639", ["alice"]),
        ("since=1&limit=1", ["bob"]),
        ("user-id=nobody", []),
    ],
)
def test_entries_are_chosen(filled: Server, question: str, users: list[str]) -> None:
    assert [entry["UserId"] for entry in filled.get(f"{PATH}?{question}")] == users


@pytest.mark.parametrize(
    "question", ["log-data-format=xml", "from-timestamp=yesterday", "limit=some", "since=-1"]
)
def test_a_question_that_makes_no_sense_is_refused(filled: Server, question: str) -> None:
    assert filled.failure("GET", f"{PATH}?{question}")[0] == 400
