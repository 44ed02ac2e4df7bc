"""A damaged file: every row that can be read is in the new database, and the old file is kept as it was."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import apsw
import pytest

from app.domain.conversation import GenerationRecord, Message, ReplyState, Role, UserMessage
from app.domain.generation import FinishReason, Timings, Usage
from app.domain.trace import ReplyTrace, TokenTrace
from app.store.database import Database
from app.store.salvage import Pages, Salvaged, salvage
from app.store.store import Store
from tests.fakes.stored import children

N_CONVERSATIONS, N_MESSAGES, PAGE = 40, 10, 4096
TOKEN = TokenTrace(id=5, text="answer", ms=1.0, p=0.5, logprob=-0.7, rank=1, entropy=1.0)
RECORD = GenerationRecord(
    model="tiny",
    preset="p",
    seed=7,
    finish_reason=FinishReason.STOP,
    usage=Usage(3, 1, 2),
    timings=Timings(),
)


async def fill(path: Path) -> None:
    """400 messages of about 230 bytes; every reply has a record, the first one a trace, some messages are long."""
    store = await Store.open(path)
    for c in range(N_CONVERSATIONS):
        conversation, message = await store.start_conversation(
            f"title {c}", UserMessage(f"question {c}/0 " + "straw " * 35)
        )
        for m in range(1, N_MESSAGES):
            n_words = 3000 if m == 5 and c % 10 == 0 else 35
            text = f"{'question' if m % 2 == 0 else 'answer'} {c}/{m} " + "straw " * n_words
            if m % 2 == 0:
                message = await store.add_message(conversation.id, message.id, Role.USER, text)
                continue
            reply = await store.add_message(conversation.id, message.id, Role.ASSISTANT, "", ReplyState.STREAMING)
            message = await store.finish_reply(reply.id, text, ReplyState.DONE, RECORD)
            if c == 0 and m == 1:
                await store.save_trace(reply.id, ReplyTrace(tokens=(TOKEN,)))
    await store.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "chat.db"
    asyncio.run(fill(path))
    return path


def salvaged(path: Path) -> tuple[Salvaged, apsw.Connection]:
    database = Database(None)
    with database.write() as connection:
        result = salvage(path, connection)
    return result, database.connection


def n_rows(connection: apsw.Connection, table: str) -> int:
    return connection.execute(f"SELECT count(*) FROM {table}").get


def test_a_whole_file_is_read_whole(filled: Path):
    result, connection = salvaged(filled)
    assert result == Salvaged(N_CONVERSATIONS, N_CONVERSATIONS * N_MESSAGES, 0)
    assert n_rows(connection, "generation") == N_CONVERSATIONS * N_MESSAGES // 2
    assert n_rows(connection, "trace") == 1
    assert connection.pragma("integrity_check") == "ok"
    assert connection.pragma("foreign_key_check") is None


def test_whichever_page_is_damaged_most_messages_are_saved(filled: Path, tmp_path: Path):
    """Every page in turn, the first one too: each costs its own rows and nothing else."""
    whole = filled.read_bytes()
    whole_rows = N_CONVERSATIONS * N_MESSAGES
    path = tmp_path / "damaged.db"
    worst = whole_rows
    for number in range(len(whole) // PAGE):
        path.write_bytes(whole[: number * PAGE] + b"\xff" * PAGE + whole[(number + 1) * PAGE :])
        result, connection = salvaged(path)
        worst = min(worst, result.n_messages)
        assert connection.pragma("foreign_key_check") is None
        connection.close()
    assert worst >= 0.95 * whole_rows


async def test_the_new_database_is_used_and_the_old_file_is_named(filled: Path, tmp_path: Path):
    path = tmp_path / "chat.db"
    content = bytearray(read(filled))
    at = content.index(b"question 5/4 ") // PAGE * PAGE
    content[at : at + PAGE] = b"\xff" * PAGE
    write(path, bytes(content))
    (tmp_path / "chat.db.live").mkdir()
    (tmp_path / "chat.db.live" / "0123456789abcdef").touch()
    store = await Store.open(path)
    (notice,) = store.take_notices()
    found = await store.conversations()
    n_messages = sum(each.n_messages for each in found)
    assert 0.95 * N_CONVERSATIONS * N_MESSAGES <= n_messages < N_CONVERSATIONS * N_MESSAGES
    saved = f"{n_messages} messages of {N_CONVERSATIONS} conversations were recovered"
    assert notice.startswith(f"The database was damaged: {saved}; at least ")
    assert notice.endswith(f"The damaged file is kept as {path}.corrupt-1.")
    assert read(path.with_name("chat.db.corrupt-1")) == bytes(content)
    assert await store.conversations("39/9") != []
    (hurt,) = await store.conversations("title 5")
    branch = await store.branch(hurt.id)
    assert "question 5/4" not in str(branch)
    assert [message.parent_id for message in branch] == [None, *(message.id for message in branch[:-1])]
    reply = next(message for message in await store.branch(1) if message.role is Role.ASSISTANT)
    assert reply.generation == RECORD
    assert (await store.trace(2)) is not None
    await store.close()
    store = await Store.open(path)
    assert store.take_notices() == ()
    await store.close()


async def test_what_the_log_holds_is_saved_too(filled: Path, tmp_path: Path):
    path, copy = tmp_path / "chat.db", tmp_path / "copy.db"
    shutil.copy(filled, path)
    store = await Store.open(path)
    conversation, _ = await store.start_conversation("in the log", UserMessage("only in the log " * 2000))
    await store.rename(1, "renamed in the log")
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
    await store.close()
    result, connection = salvaged(copy)
    assert result == Salvaged(N_CONVERSATIONS + 1, N_CONVERSATIONS * N_MESSAGES + 1, 0)
    titles = [row[0] for row in connection.execute("SELECT title FROM conversation ORDER BY id")]
    assert (titles[0], titles[-1]) == ("renamed in the log", "in the log")
    torn = read(copy.with_name("copy.db-wal"))[:-100]
    write(copy.with_name("copy.db-wal"), torn)
    assert salvaged(copy)[0].n_messages >= N_CONVERSATIONS * N_MESSAGES
    assert conversation.id == N_CONVERSATIONS + 1


async def test_what_was_erased_or_deleted_is_not_found_again(filled: Path, tmp_path: Path):
    path = tmp_path / "chat.db"
    shutil.copy(filled, path)
    store = await Store.open(path)
    await store.purge(3, 4)
    await store.delete(5)
    await store.close()
    result, connection = salvaged(path)
    assert result == Salvaged(N_CONVERSATIONS - 2, (N_CONVERSATIONS - 2) * N_MESSAGES, 0)
    deleted = connection.execute("SELECT id FROM conversation WHERE deleted_ms IS NOT NULL").fetchall()
    assert deleted == [(5,)]


async def test_messages_whose_conversation_is_lost_get_one_and_versions_stay_versions(tmp_path: Path):
    path = tmp_path / "chat.db"
    store = await Store.open(path)
    conversation, asked = await store.start_conversation("lost", UserMessage("first line of it\nand more"))
    for answer in ("one", "two"):
        await store.add_message(conversation.id, asked.id, Role.ASSISTANT, answer)
    await store.close()
    content = read(path)
    write(path, content.replace(b"lost", b"\xff\xff\xff\xff"))  # a title that is no text
    store = await Store.open(path)
    await store.close()
    result, connection = salvaged(path)
    assert (result.n_conversations, result.n_messages) == (1, 3)
    assert connection.execute("SELECT title, tip_id FROM conversation").fetchall() == [("first line of it and more", 3)]
    assert connection.execute("SELECT parent_id FROM message ORDER BY id").fetchall() == [(None,), (1,), (1,)]


async def test_a_reply_that_was_being_written_is_interrupted(tmp_path: Path):
    path = tmp_path / "chat.db"
    store = await Store.open(path)
    conversation, asked = await store.start_conversation("t", UserMessage("q"))
    await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "half", ReplyState.STREAMING)
    await store._thread.use(Database.empty_log)
    content = read(path)
    await store.close()
    write(path, b"\0" * 100 + content[100:])
    store = await Store.open(path)
    replies: list[Message] = await children(store, conversation.id, asked.id)
    assert [(reply.content, reply.state) for reply in replies] == [("half", ReplyState.INTERRUPTED)]
    assert [each.id for each in await store.conversations("half")] == [conversation.id]
    await store.close()


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_happens_to_the_file_it_opens(filled: Path, tmp_path: Path, seed: int):
    """Flipped bytes, zeroed ranges and cut ends: the store opens and can be written."""
    chance = random.Random(seed)
    content = bytearray(read(filled))
    match seed % 3:
        case 0:
            for _ in range(chance.randrange(1, 200)):
                content[chance.randrange(len(content))] = chance.randrange(256)
        case 1:
            at = chance.randrange(len(content))
            content[at : at + 20_000] = bytes(len(content[at : at + 20_000]))
        case _:
            del content[chance.randrange(1, len(content)) :]
    path = tmp_path / "chat.db"
    write(path, bytes(content))
    (tmp_path / "chat.db.live").mkdir()
    (tmp_path / "chat.db.live" / "0123456789abcdef").touch()
    store = await Store.open(path)
    await store.start_conversation("works", UserMessage("again"))
    assert [each.title for each in await store.conversations("again")] == ["works"]
    await store.close()


def test_bytes_that_are_no_database_have_no_rows(tmp_path: Path):
    path = tmp_path / "noise.db"
    path.write_bytes(random.Random(1).randbytes(200_000))
    path.with_name("noise.db-wal").write_bytes(random.Random(2).randbytes(50_000))
    assert list(Pages(path).rows()) == []


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
