"""`tok history stats` and `check`."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from app.config.paths import database_file


def test_figures_leave_deleted_conversations_out(tok, two) -> None:
    tok("history", "rm", "2")
    found = tok("history", "stats", "--json").json
    assert (found["n_conversations"], found["n_deleted"], found["n_messages"]) == (1, 1, 3)
    assert found["models"] == [{"model": "tiny", "n_replies": 1, "n_prompt": 12, "n_generated": 5}]
    assert 0 < found["trace_bytes"] < found["database_bytes"]
    assert tok("history", "stats").out.splitlines()[-1].split() == ["1", "12", "5", "tiny"]


def test_without_a_database_everything_is_zero_and_ok(tok) -> None:
    assert tok("history", "stats", "--json").json["n_conversations"] == 0
    assert tok("history", "check").out == "database OK\n"


def test_a_lost_parent_is_found(tok, two) -> None:
    assert tok("history", "check", "--json").json == {"ok": True, "problems": []}
    with closing(sqlite3.connect(database_file())) as connection:
        connection.execute("INSERT INTO trace VALUES (99, 1, 1, 1, x'00')")
        connection.commit()
    outcome = tok("history", "check", "--json")
    assert (outcome.code, outcome.json) == (1, {"ok": False, "problems": ["row without its parent in trace"]})
