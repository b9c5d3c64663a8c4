"""Indexes of earlier releases are brought to our schema when they are opened, with all that is in them."""

from pathlib import Path

import pytest
from tests.databases import BACKENDS

from hounsfield.index import migrations
from hounsfield.index.changes import last_change
from hounsfield.index.properties import get_property, set_property


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.parametrize("version", range(1, migrations.SCHEMA_VERSION))
def test_an_index_of_an_earlier_release_is_brought_to_ours(
    tmp_path: Path, backend: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_database = BACKENDS[backend](tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "SCHEMA_VERSION", version)
        old = open_database()
        if version >= 4:  # Since then a transaction knows its generation.
            old.write(lambda tx: set_property(tx, 1, "kept"))
            old.close()
        else:
            _release(old)
    new = open_database()
    with new.read() as tx:
        assert last_change(tx) == 0
        assert get_property(tx, 1) == ("kept" if version >= 4 else None)
        assert tx.row("SELECT COUNT(*) FROM audit_logs") == (0,)
    new.close()


def _release(database: object) -> None:
    """Let go of an index that this release cannot write to yet."""
    for name in ("_listener", "_pool", "_writer", "_checkpoints", "_connection", "_lock_file"):
        part = getattr(database, name, None)
        if part is not None and hasattr(part, "close"):
            part.close()
