"""Asking, streaming, stopping, asking again: over a scripted engine and a store in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from app.domain.conversation import ReplyState, UserMessage
from app.domain.generation import FinishReason
from app.protocol.commands import Generate
from app.protocol.events import GenerationEvent, LoadFailed
from app.tui.chat.screen import ChatScreen
from tests.fakes.chat_app import answered, bar, drawn, make_app, ready, shown, until
from tests.fakes.engine_events import make_finished, make_lost
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Load, Reply, reply
from tests.fakes.stored import children


def said(chat: ChatScreen) -> list[tuple[str, str, ReplyState]]:
    return [(message.role.value, message.content, message.state) for message in chat.chat.session.branch]


async def test_a_question_is_answered(tmp_path: Path) -> None:
    engine = ScriptedEngine(["Rain is water."], loaded=False)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        assert chat.has_class("-empty")
        await pilot.press(*"why?", "enter")
        await answered(chat)
        assert said(chat) == [
            ("user", "why?", ReplyState.DONE),
            ("assistant", "Rain is water.", ReplyState.DONE),
        ]
        assert chat.transcript.last_reply() == "Rain is water."
        assert not chat.has_class("-empty")
        assert chat.composer.text == ""
        assert chat.meter.finish == "stopped: end of turn <|im_end|>"
        assert "● ready" in bar(chat, "header")
        assert "why?" in bar(chat, "header")


async def test_tokens_are_shown_as_they_come_and_a_stop_keeps_them(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three four")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await engine.release(3)
        await until(lambda: chat.transcript.last_reply() == "one two")
        assert "◉ replying" in bar(chat, "header")
        assert bar(chat, "keys").startswith("Esc stop")
        await pilot.press("escape")
        await until(lambda: not chat.chat.running)
        assert said(chat)[1] == ("assistant", "one two", ReplyState.STOPPED)
        assert engine.aborted == [1]


async def test_regenerate_replaces_the_reply_on_the_screen_and_keeps_the_old_one(tmp_path: Path) -> None:
    engine = ScriptedEngine(["first", "second"])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("say"))
        await answered(chat)
        await pilot.press("ctrl+r")
        await until(lambda: chat.transcript.last_reply() == "second" and not chat.chat.running)
        assert [content for _, content, _ in said(chat)] == ["say", "second"]
        question = chat.chat.session.branch[0]
        assert chat.chat.session.store is not None
        siblings = await children(chat.chat.session.store, question.conversation_id, question.id)
        assert [message.content for message in siblings] == ["first", "second"]


async def test_what_is_sent_while_the_model_loads_waits_its_turn(tmp_path: Path) -> None:
    engine = ScriptedEngine(["answer one", "answer two"], loaded=False, load_gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(lambda: app.screen_of_chat is not None and engine.loads)
        chat = app.screen_of_chat
        assert chat is not None
        await engine.release_load(2)
        await until(lambda: chat.loader.status.fraction == 0.5)
        await pilot.press(*"one", "enter", *"two", "enter")
        await until(lambda: chat.chat.waiting == [UserMessage("one"), UserMessage("two")])
        queued = "▸ 2 queued  one  until the model is loaded  Esc takes it back"
        await until(lambda: bar(chat, "queue") == queued)
        assert " 50%" in bar(chat, "header")
        engine.run_free()
        await answered(chat, 4)
        assert [content for _, content, _ in said(chat)] == ["one", "answer one", "two", "answer two"]
        assert not chat.query_one("#queue").display


async def test_escape_takes_a_waiting_message_back(tmp_path: Path) -> None:
    engine = ScriptedEngine(loaded=False, load_gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(lambda: app.screen_of_chat is not None and engine.loads)
        chat = app.screen_of_chat
        assert chat is not None
        await pilot.press(*"one", "enter")
        await until(lambda: chat.chat.waiting == [UserMessage("one")])
        await pilot.press("escape")
        await until(lambda: chat.composer.text == "one")
        assert chat.chat.waiting == []


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_stopping_a_reply_stops_what_waits_behind_it_too(tmp_path: Path, key: str) -> None:
    engine = ScriptedEngine([reply("one two three"), "never"], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await engine.release(2)
        await until(lambda: chat.transcript.last_reply() == "one")
        await pilot.press(*"next", "enter")
        await until(lambda: chat.chat.waiting == [UserMessage("next")])
        await pilot.press(key)
        await until(lambda: not chat.chat.running)
        assert chat.composer.text == "next"
        assert chat.chat.waiting == []
        assert [content for _, content, _ in said(chat)] == ["count", "one"]


async def test_a_lost_engine_keeps_the_reply_and_the_next_message_starts_it_again(tmp_path: Path) -> None:
    engine = ScriptedEngine([Reply(pieces=("half", " a", " reply"), dies_after=2), "whole"])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("go"))
        await answered(chat)
        assert said(chat)[1] == ("assistant", "half a", ReplyState.INTERRUPTED)
        assert "✕ engine lost" in bar(chat, "header")
        chat.chat.submit(UserMessage("again"))
        await answered(chat, 4)
        assert said(chat)[3] == ("assistant", "whole", ReplyState.DONE)
        assert "● ready" in bar(chat, "header")


async def test_without_a_model_the_chat_says_what_to_do_and_the_rest_works(tmp_path: Path) -> None:
    failed = LoadFailed("not enough memory", "Choose a smaller one.")
    engine = ScriptedEngine(["answer"], loaded=False, loads=[Load(outcome=failed)])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.status.error)
        chat = app.screen_of_chat
        assert chat is not None
        shown = str(chat.query_one("#welcome").render())
        assert "not enough memory" in shown
        assert "Choose a smaller one." in shown
        await pilot.press(*"hi", "enter")
        await until(lambda: chat.chat.waiting == [UserMessage("hi")])
        await until(lambda: "Ctrl+O chooses a model" in bar(chat, "queue"))
        chat.loads.load("tiny")
        await answered(chat)
        assert said(chat)[1][1] == "answer"


class Refusing(ScriptedEngine):
    """Refuses every prompt as too long."""

    async def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        yield make_finished(command.request_id, FinishReason.CONTEXT, n_prompt=9000, error="the prompt has 9000 tokens")


async def test_a_prompt_that_is_refused_is_answered_in_words(tmp_path: Path) -> None:
    app = make_app(tmp_path, Refusing())
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("much"))
        await until(lambda: "9000 tokens" in shown(chat))
        assert "Ctrl+N starts a new conversation" in shown(chat)
        assert 'context = "drop-oldest-turns"' in shown(chat)


async def test_a_store_that_fails_is_reported_and_the_chat_goes_on(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["answer"]), store_fails=True)
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        await until(lambda: "not saved" in bar(chat, "header"))
        chat.chat.submit(UserMessage("hi"))
        await answered(chat)
        assert said(chat)[1][1] == "answer"


async def test_leaving_while_it_streams_keeps_the_text(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await engine.release(2)
        await until(lambda: chat.transcript.last_reply() == "one")
        session = chat.chat.session
        await pilot.press("ctrl+q")
    assert app.return_code == 0
    await until(lambda: not session.busy)
    assert (session.branch[1].content, session.branch[1].state) != ("", ReplyState.STREAMING)
    assert session.branch[1].content == "one"
    await app.close()
    assert engine.closed


async def test_an_engine_that_died_while_loading_is_tried_again_by_a_message(tmp_path: Path) -> None:
    engine = ScriptedEngine(["answer"], loaded=False, loads=[Load(outcome=make_lost())])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.status.error)
        chat = app.screen_of_chat
        assert chat is not None
        await pilot.press(*"hi", "enter")
        await answered(chat)
        assert said(chat)[1][1] == "answer"
        assert len(engine.loads) == 2


async def test_what_the_engine_says_of_the_prompt_stands_above_the_reply_and_is_not_repeated(tmp_path: Path) -> None:
    failed = "The chat template failed, ChatML is used instead: TemplateError: no"
    reported = {"one": (failed,), "two": (failed,), "three": (), "four": (failed,)}
    app = make_app(tmp_path, ScriptedEngine([reply(text, notices=notices) for text, notices in reported.items()]))
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        for text in reported:
            await pilot.press(*"why?", "enter")
            await until(lambda text=text: chat.transcript.last_reply() == text and not chat.chat.running)
        screen = drawn(chat)
        assert screen.count(failed) == 2
        assert screen.index(failed) < screen.index("one") < screen.index("two")
        assert screen.index("three") < screen.rindex(failed) < screen.index("four")


@pytest.mark.parametrize(
    ("held_by", "reported"),
    [
        ((7,), "Waiting: a paused reply uses the only slot. Resume or stop it."),
        ((7, 8), "Waiting: 2 paused replies use all slots. Resume or stop one."),
    ],
)
async def test_a_message_that_waits_for_paused_replies_says_what_it_waits_for(
    tmp_path: Path, held_by: tuple[int, ...], reported: str
) -> None:
    engine = ScriptedEngine([reply("one two", held_by=held_by)], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press(*"why?", "enter")
        await until(lambda: reported in drawn(chat))
        await until(lambda: "waiting for a paused reply to end" in " ".join(" ".join(chat.panels.shown).split()))
        engine.run_free()
        await until(lambda: not chat.chat.running)
        assert chat.transcript.last_reply() == "one two"
        assert chat.meter.held_by == ()


@pytest.mark.parametrize("n_steps", [0, 1])
async def test_a_reply_stopped_before_its_first_token_is_marked_and_written_again(tmp_path: Path, n_steps: int) -> None:
    engine = ScriptedEngine([reply("one two"), "at last"], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("why?"))
        await engine.release(n_steps)
        await until(lambda: chat.chat.session.busy)
        await pilot.press("escape")
        await until(lambda: not chat.chat.running)
        assert said(chat) == [("user", "why?", ReplyState.DONE), ("assistant", "", ReplyState.STOPPED)]
        await until(lambda: "stopped by you" in drawn(chat))
        engine.run_free()
        await pilot.press("ctrl+r")
        await until(lambda: not chat.chat.running and len(chat.chat.session.branch) == 2)
        assert said(chat)[1][1:] == ("at last", ReplyState.DONE)


async def test_an_engine_that_dies_in_prefill_marks_the_reply_and_ctrl_r_retries(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two", dies_after=0), "at last"])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("why?"))
        await until(lambda: not chat.chat.running and len(said(chat)) == 2)
        assert said(chat)[1] == ("assistant", "", ReplyState.INTERRUPTED)
        note = "interrupted: killed by SIGKILL; no text had arrived"
        await until(lambda: note in drawn(chat))
        chat.show_branch(chat.chat.session.branch)
        await until(lambda: note in drawn(chat))
        await pilot.press("ctrl+r")
        await answered(chat)
        assert said(chat)[1][1:] == ("at last", ReplyState.DONE)
