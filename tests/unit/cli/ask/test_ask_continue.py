"""`tok ask -c`: which conversation it continues, and that it is answered as before."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from app.config.paths import config_file, database_file
from app.domain.conversation import (
    ChatSettings,
    Conversation,
    ConversationKind,
    GenerationRecord,
    ReplyState,
    Role,
    UserMessage,
)
from app.domain.generation import FinishReason
from app.domain.sampling import Preset
from app.store.store import Store
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.usefixtures("model")


def configure(text: str, model: Path) -> None:
    config_file().write_text(f"model = {json.dumps(str(model))}\n{text}", encoding="utf-8")


def stored() -> list[Conversation]:
    async def read() -> list[Conversation]:
        store = await Store.open(database_file())
        try:
            return await store.conversations()
        finally:
            await store.close()

    return asyncio.run(read())


def sent(engine: ScriptedEngine) -> tuple[str | None, float]:
    """The system prompt and the temperature of the last request."""
    request = engine.requests[-1]
    first = request.messages[0]
    return (first.content if first.role is Role.SYSTEM else None, request.sampling.temperature)


def ask(tok, *arguments: str) -> ScriptedEngine:
    engine = ScriptedEngine()
    assert tok("ask", *arguments, engine=engine).code == 0
    return engine


def test_it_keeps_preset_system_prompt_and_model(tok, tmp_path: Path) -> None:
    other = write_tiny_gguf(tmp_path / "other.gguf")
    ask(tok, "one", "-p", "deterministic", "-s", "You are a pirate.", "-m", str(other))
    engine = ask(tok, "two", "-c")
    assert sent(engine) == ("You are a pirate.", 0.0)
    assert engine.loads[0].path == str(other)
    report = tok("ask", "three", "-c", "--json").json
    assert (report["model"], report["preset"]) == (str(other), "deterministic")


def test_a_relative_path_is_the_same_model_in_another_folder(tok, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    write_tiny_gguf(tmp_path / "here" / "local.gguf")
    monkeypatch.chdir(tmp_path / "here")
    ask(tok, "one", "-m", "local.gguf")
    monkeypatch.chdir(tmp_path)
    assert ask(tok, "two", "-c").loads[0].path == str(tmp_path / "here" / "local.gguf")


def test_an_option_is_kept_from_then_on(tok) -> None:
    ask(tok, "one", "-p", "precise")
    assert sent(ask(tok, "two", "-c", "-s", "Own."))[0] == "Own."
    assert sent(ask(tok, "three", "-c")) == ("Own.", 0.2)
    outcome = tok("ask", "four", "-c", "-p", "deterministic")
    assert "tok: the conversation keeps its own system prompt; use -s to replace it" in outcome.err
    assert sent(ask(tok, "five", "-c")) == ("Own.", 0.0)
    assert sent(ask(tok, "six", "-c", "-s", "")) == (None, 0.0)
    assert sent(ask(tok, "seven", "-c")) == (None, 0.0)


def test_sampling_options_hold_for_one_answer(tok) -> None:
    ask(tok, "one", "-p", "precise", "--temperature", "1.5")
    assert sent(ask(tok, "two", "-c"))[1] == 0.2
    assert sent(ask(tok, "three", "-c", "--temperature", "0.7"))[1] == 0.7
    assert sent(ask(tok, "four", "-c"))[1] == 0.2


def test_without_saving_nothing_of_it_is_kept(tok) -> None:
    ask(tok, "one", "-p", "precise")
    ask(tok, "two", "-c", "-s", "Own.", "--no-save")
    assert sent(ask(tok, "three", "-c"))[0] == Preset(name="x", system=stored()[0].settings.preset.system).system
    assert stored()[0].settings.system is None


def test_a_preset_that_was_edited_or_deleted_is_used_as_it_was_and_that_is_said(tok, model: Path) -> None:
    configure('[presets.mine]\nsystem = "Mine."\ntemperature = 0.4\n', model)
    ask(tok, "one", "-p", "mine")
    configure('[presets.mine]\nsystem = "Other."\ntemperature = 0.9\n', model)
    engine = ScriptedEngine()
    outcome = tok("ask", "two", "-c", engine=engine)
    assert sent(engine) == ("Mine.", 0.4)
    assert outcome.err == "tok: The preset “mine” was changed. This conversation keeps the old values.\n"
    configure("", model)
    engine = ScriptedEngine()
    outcome = tok("ask", "three", "-c", engine=engine)
    assert (outcome.code, sent(engine)) == (0, ("Mine.", 0.4))
    assert "“mine” no longer exists" in outcome.err


def test_a_model_that_is_gone_is_replaced_and_that_is_said_each_time(tok, tmp_path: Path, model: Path) -> None:
    other = write_tiny_gguf(tmp_path / "other.gguf")
    ask(tok, "one", "-m", str(other))
    other.rename(tmp_path / "away.gguf")
    for prompt in ("two", "three"):
        engine = ScriptedEngine()
        outcome = tok("ask", prompt, "-c", "--json", engine=engine)
        assert (outcome.code, engine.loads[0].path, outcome.json["model"]) == (0, str(model), str(model))
        assert f"the conversation's model is not available (there is no file {other})" in outcome.err
        assert f"{model} is used instead" in outcome.err
    (tmp_path / "away.gguf").rename(other)
    assert ask(tok, "four", "-c").loads[0].path == str(other)


async def from_before(preset: str, model: Path) -> None:
    """A conversation as an older version left it."""
    store = await Store.open(database_file())
    conversation, asked = await store.start_conversation("old", UserMessage("q"))
    reply = await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "", ReplyState.STREAMING)
    record = GenerationRecord(model=str(model), preset=preset, seed=1, finish_reason=FinishReason.STOP)
    await store.finish_reply(reply.id, "a", ReplyState.DONE, record)
    await store.close()


def test_an_old_conversation_is_answered_as_its_last_reply_and_keeps_that(tok, tmp_path: Path) -> None:
    other = write_tiny_gguf(tmp_path / "other.gguf")
    asyncio.run(from_before("deterministic", other))
    engine = ask(tok, "two", "-c")
    assert (sent(engine)[1], engine.loads[0].path) == (0.0, str(other))
    (conversation,) = stored()
    assert conversation.settings
    assert (conversation.settings.model, conversation.settings.preset.name) == (str(other), "deterministic")


def test_an_old_conversation_whose_preset_is_gone_says_what_is_used(tok, model: Path) -> None:
    asyncio.run(from_before("gone", model))
    outcome = tok("ask", "two", "-c")
    assert "The preset “gone” of this conversation no longer exists. “balanced” is used instead." in outcome.err


async def chat_of(title: str) -> None:
    store = await Store.open(database_file())
    conversation, asked = await store.start_conversation(
        title, UserMessage(title), settings=ChatSettings(preset=Preset(name="x"))
    )
    await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "a")
    await store.close()


def test_it_goes_on_with_what_was_asked_last_and_not_with_a_chat(tok) -> None:
    ask(tok, "one")
    asyncio.run(chat_of("chat"))
    assert ask(tok, "two", "-c").requests[0].messages[0].content == "one"
    assert {each.title: each.kind for each in stored()} == {"one": "ask", "chat": "chat"}


def test_where_nothing_was_asked_it_goes_on_with_the_last_chat_which_stays_one(tok) -> None:
    asyncio.run(chat_of("chat"))
    assert [each.content for each in ask(tok, "two", "-c").requests[0].messages] == ["chat", "a", "two"]
    assert [each.kind for each in stored()] == [ConversationKind.CHAT]


def test_several_answers_are_one_question(tok) -> None:
    ask(tok, "one", "-n", "2", "-s", "Own.")
    assert [each.kind for each in stored()] == [ConversationKind.ASK]
    assert sent(ask(tok, "two", "-c"))[0] == "Own."


def test_a_mistake_in_a_preset_that_is_not_used_is_no_reason_to_stop(tok, model: Path) -> None:
    ask(tok, "one", "-p", "precise")
    configure('preset = "nowhere"\n', model)
    assert tok("ask", "two", "-c").code == 0


def test_there_is_no_database_where_nothing_can_be_continued(tok) -> None:
    outcome = tok("ask", "two", "-c")
    assert (outcome.code, database_file().exists()) == (2, False)
    assert "there is no conversation to continue" in outcome.err


def test_the_history_marks_questions_and_lists_a_kind_alone(tok) -> None:
    ask(tok, "one")
    asyncio.run(chat_of("chat"))
    assert [(each["title"], each["kind"]) for each in tok("history", "--json").json] == [
        ("chat", "chat"),
        ("one", "ask"),
    ]
    for kind, title in (("ask", "one"), ("chat", "chat")):
        assert [each["title"] for each in tok("history", "--kind", kind, "--json").json] == [title]
    assert "ask   2" in tok("history", "--kind", "ask").out
    assert tok("history", "--kind", "other").code == 2
