"""`tok history rm`, `restore`, `purge` and `--deleted`; and that what is erased is in no file any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.config.paths import cache_dir, config_dir, copied_file, data_dir, database_file, ensure_dir
from app.domain.conversation import Role, UserMessage
from app.domain.errors import StoreError
from app.domain.trace import ReplyTrace, TokenTrace
from app.session.erasing import erase_expired
from app.store import conversations, database, schema
from app.store.store import UNDO_MS, Store
from tests.fakes.scripted_engine import ScriptedEngine

SECRET = "xyzzysecret"
TOKEN = TokenTrace(id=5, text=SECRET, ms=1.0, p=0.5, logprob=-0.7, rank=1, entropy=1.0)


def with_store(work: Callable[[Store], Awaitable[object]]) -> None:
    async def run() -> None:
        ensure_dir(data_dir())
        store = await Store.open(database_file())
        await work(store)
        await store.close()

    asyncio.run(run())


@pytest.fixture
def filled() -> None:
    async def fill(store: Store) -> None:
        for title in ("sea", SECRET):
            conversation, asked = await store.start_conversation(title, UserMessage(f"{title} asked " * 300))
            reply = await store.add_message(conversation.id, asked.id, Role.ASSISTANT, f"{title} answered")
            await store.save_trace(reply.id, ReplyTrace(tokens=(TOKEN,) if title == SECRET else ()))

    with_store(fill)


def files_with(word: str) -> list[str]:
    found = [path for folder in (data_dir(), cache_dir(), config_dir()) for path in folder.rglob("*") if path.is_file()]
    return sorted(path.name for path in found if word.encode() in path.read_bytes())


def test_what_is_deleted_is_listed_apart_and_restored(tok, filled) -> None:
    outcome = tok("history", "rm", "2", "--json")
    assert outcome.json == [{"id": 2, "title": SECRET}]
    assert [each["id"] for each in tok("history", "--json").json] == [1]
    (deleted,) = tok("history", "--deleted", "--json").json
    assert (deleted["id"], deleted["title"], deleted["n_messages"]) == (2, SECRET, 2)
    assert tok("history", "--deleted").out.splitlines()[1].split()[0] == "2"
    assert tok("history", "restore", "2").err == f"tok: restored 2  {SECRET}\n"
    assert [each["id"] for each in tok("history", "list", "--json").json] == [2, 1]
    assert tok("history", "--deleted", "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rm", "9"], "there is no conversation 9"),
        (["rm", "1", "9"], "there is no conversation 9"),
        (["restore", "1"], "conversation 1 is not deleted"),
        (["restore", "9"], "there is no deleted conversation 9"),
        (["purge", "1"], "conversation 1 is not deleted"),
        (["rm"], "Missing argument"),
        (["rm", "x"], "is not a whole number"),
        (["list", "--deleted", "word"], "--deleted cannot be combined"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_a_usage_error_and_changes_nothing(tok, filled, arguments: list[str], message: str) -> None:
    outcome = tok("history", *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert len(tok("history", "--json").json) == 2


def test_words_are_searched_for_whatever_they_are(tok, filled) -> None:
    assert [each["id"] for each in tok("history", "sea", "--json").json] == [1]
    assert tok("history", "list", "rm", "--json").json == []
    assert "Commands:" in tok("history", "--help").out


def test_erased_text_is_in_no_file(tok, filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MIGRATIONS", [*schema.MIGRATIONS, lambda _: None])
    tok("history")  # the migration makes a backup
    ensure_dir(cache_dir())
    copied_file().write_text(f"{SECRET} copied")
    assert files_with(SECRET) == ["conversations.db", f"conversations.db.backup-v{len(schema.MIGRATIONS)}", "copied.md"]
    tok("history", "rm", "2")
    engine = ScriptedEngine()
    outcome = tok("history", "purge", "2", engine=engine)
    assert outcome.err == f"tok: erased 2  {SECRET}\n"
    assert engine.forgotten == [2]
    assert files_with(SECRET) == []
    assert files_with("sea answered") == ["conversations.db"]
    assert tok("history", "restore", "2").code == 2


def test_without_numbers_everything_deleted_is_erased(tok, filled) -> None:
    tok("history", "rm", "1", "2")
    assert [each["id"] for each in tok("history", "purge", "--json").json] == [2, 1]
    assert files_with(SECRET) == files_with("sea answered") == []
    outcome = tok("history", "purge")
    assert (outcome.code, outcome.err) == (0, "tok: no deleted conversation to erase\n")


def test_files_beside_the_database_that_hold_erased_text_are_deleted(tok, filled) -> None:
    with_store(lambda store: store.keep_draft(f"{SECRET} asked " * 300))  # as killed before it knew it was sent
    with_store(lambda store: store.rename(1, "sea of files"))
    damaged = [database_file().with_name(f"conversations.db.corrupt-1{side}") for side in ("", "-wal")]
    damaged[0].write_bytes(database_file().read_bytes())
    damaged[1].write_text("a log")
    other = database_file().with_name("conversations.db.corrupt-2")
    other.write_text("of another time")
    unsaved = [ensure_dir(cache_dir()) / f"unsaved-20260101-00000{n}.md" for n in (1, 2)]
    unsaved[0].write_text(f"# What tokscope could not save\n\n## Model\n\n{SECRET} answered\n")
    unsaved[1].write_text("# What tokscope could not save\n\n## You\n\nsomething else\n")
    tok("history", "rm", "2")
    errors = tok("history", "purge").err
    for path in (*damaged, unsaved[0]):
        assert f"tok: deleted {path}: it contained their text" in errors
    assert f"{other} is a damaged database that may contain their text" in errors
    assert files_with(SECRET) == []
    assert [path.exists() for path in (*damaged, other, *unsaved)] == [False, False, True, False, True]


def test_erasing_that_was_cut_short_is_repeated(tok, filled, monkeypatch: pytest.MonkeyPatch) -> None:
    unsaved = ensure_dir(cache_dir()) / "unsaved-20260101-000001.md"
    unsaved.write_text(f"{SECRET} answered")
    tok("history", "rm", "2")

    async def killed(*_: object) -> None:
        raise StoreError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "purge", killed)
        assert tok("history", "purge").code == 1
    tok("history", "purge")
    assert files_with(SECRET) == []


def test_a_damaged_file_that_was_kept_is_named(tok, filled) -> None:
    kept = database_file().with_name("conversations.db.corrupt-1")
    kept.write_text("of another time")
    tok("history", "rm", "2")
    assert str(kept) in tok("history", "purge").err


def test_after_the_undo_time_it_is_erased_by_the_next_question(tok, filled, model, monkeypatch) -> None:
    tok("history", "rm", "2")
    engine = ScriptedEngine()
    assert tok("ask", "hello", engine=engine).code == 0
    assert (engine.forgotten, files_with(SECRET)) == ([], ["conversations.db"])
    engine = ScriptedEngine()
    now = conversations.now_ms
    monkeypatch.setattr(conversations, "now_ms", lambda: now() + UNDO_MS + 1000)
    assert tok("ask", "hello", engine=engine).code == 0
    assert engine.forgotten == [2]
    assert files_with(SECRET) == []


def test_only_what_was_deleted_long_ago_is_erased(filled, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(store: Store) -> None:
        await store.delete(2)
        now = conversations.now_ms
        monkeypatch.setattr(conversations, "now_ms", lambda: now() + UNDO_MS - 60_000)
        await store.delete(1)
        assert await erase_expired(store) == []
        monkeypatch.setattr(conversations, "now_ms", lambda: now() + UNDO_MS + 60_000)
        assert await erase_expired(store) == [2]
        assert [each.id for each in await store.deleted()] == [1]

    with_store(work)


def test_a_read_only_history_is_listed_and_not_changed(tok, filled, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(database, "private_file", refuse)
    outcome = tok("history", "--json")
    assert [each["id"] for each in outcome.json] == [2, 1]
    assert "cannot be written (Permission denied): it is only read" in outcome.err
    assert len(tok("export", "trace", "2", "--json").json["messages"]) == 2
    outcome = tok("history", "rm", "1")
    assert outcome.code == 1
    assert "cannot be written (Permission denied)" in outcome.err


def test_a_read_only_history_is_continued_and_the_answer_is_not_kept(
    tok, filled, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    engine = ScriptedEngine(["wide"])
    with monkeypatch.context() as patch:
        patch.setattr(database, "private_file", refuse)
        outcome = tok("ask", "-c", "how wide?", engine=engine)
    assert (outcome.code, outcome.out) == (0, "wide\n")
    assert outcome.err.count("this answer is not saved") == 1
    assert [each.role for each in engine.requests[0].messages][-3:] == [Role.USER, Role.ASSISTANT, Role.USER]
    assert [each["n_messages"] for each in tok("history", "--json").json] == [2, 2]
