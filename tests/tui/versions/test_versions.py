"""Forks, rewritten replies, and the walk between the versions of a reply."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client.engine import EngineState
from app.domain.conversation import UserMessage
from app.domain.errors import StoreError
from app.session.session import Session
from app.store.store import Store
from app.tui.versions.fork import ForkWanted, Rewrite
from tests.fakes.chat_app import answered, contents, make_app, ready, reported, shown, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply
from tests.unit.session.session_helpers import slow


@pytest.mark.usefixtures("soon_alone")
async def test_regenerating_shows_the_count_and_the_versions_can_be_walked(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["first", "second", "third"]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("say"))
        await answered(chat)
        assert "‹" not in shown(chat)
        await pilot.press("ctrl+r")
        await until(lambda: chat.transcript.last_reply() == "second" and "‹ 2/2 ›" in shown(chat))
        await pilot.press("ctrl+r")
        await until(lambda: chat.transcript.last_reply() == "third" and "‹ 3/3 ›" in shown(chat))
        await pilot.press("alt+left")
        await until(lambda: contents(chat) == ["say", "second"] and "‹ 2/3 ›" in shown(chat))
        chat.transcript.focus()
        await pilot.press("[")
        await until(lambda: contents(chat) == ["say", "first"] and "‹ 1/3 ›" in shown(chat))
        await pilot.press("[")
        await until(lambda: reported(app) == ["This is the first of 3 versions."])
        await pilot.press("]")
        await until(lambda: contents(chat) == ["say", "second"])
        await pilot.press("alt+right", "alt+right")
        await until(lambda: contents(chat) == ["say", "third"])
        await until(lambda: reported(app)[-1] == "This is the last of 3 versions.")


async def test_a_version_is_shown_with_what_followed_it(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["first", "second", "more"]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("say"))
        await answered(chat)
        await pilot.press("ctrl+r")
        await until(lambda: contents(chat) == ["say", "second"] and not chat.chat.running)
        chat.chat.submit(UserMessage("go on"))
        await answered(chat, 4)
        await pilot.press("alt+left")
        await until(lambda: contents(chat) == ["say", "first"])
        await pilot.press("alt+right")
        await until(lambda: contents(chat) == ["say", "second", "go on", "more"])
        await until(lambda: "‹ 2/2 ›" in shown(chat))


async def test_without_versions_the_keys_say_so(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["first"]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("say"))
        await answered(chat)
        await pilot.press("alt+left")
        await until(lambda: reported(app) == ["No message has other versions yet."])


async def test_a_fork_keeps_its_beginning_and_the_notice_has_the_engines_numbers(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one two three", reply(" dois", n_prompt=813, n_cached=812)])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await answered(chat)
        old = chat.chat.session.branch[-1]
        chat.run(chat.forking.fork(ForkWanted(old, 1)))
        await until(lambda: contents(chat) == ["count", "one dois"])
        await answered(chat)
        assert engine.requests[1].reply_ids == (100,)
        assert reported(app) == ["Forked at token 2: reused 812, computed 1."]
        await until(lambda: "‹ 2/2 ›" in shown(chat))
        assert chat.transcript.last_reply() == "one dois"


async def test_what_is_kept_is_seen_at_once(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three"), reply(" dois")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        engine.permit(4)
        await answered(chat)
        chat.run(chat.forking.fork(ForkWanted(chat.chat.session.branch[-1], 2)))
        await until(lambda: chat.transcript.last_reply() == "one two" and len(engine.requests) == 2)
        engine.run_free()
        await until(lambda: contents(chat) == ["count", "one two dois"] and not chat.chat.running)


async def test_a_running_reply_is_stopped_for_a_fork(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one two three", " dois"], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await engine.release(3)
        chat.run(chat.forking.fork(ForkWanted(chat.chat.session.branch[-1], 1)))
        await until(lambda: len(engine.requests) == 2)
        engine.run_free()
        await until(lambda: contents(chat) == ["count", "one dois"])
        assert engine.aborted == [1]


async def test_a_reply_is_rewritten_and_gone_on_from(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one two three", " and more"])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press("f9")
        await until(lambda: reported(app) == ["There is no reply to rewrite yet."])
        chat.chat.submit(UserMessage("count"))
        await answered(chat)
        await pilot.press("f9")
        await until(lambda: isinstance(app.screen, Rewrite))
        await pilot.press(*["left"] * len(" three"), "ctrl+t", *" 2", "ctrl+s")
        await until(lambda: contents(chat) == ["count", "one two 2 and more"])
        await answered(chat)
        assert (engine.requests[1].reply_ids, engine.requests[1].reply_text) == ((100, 101), " 2")
        assert reported(app)[-1] == "Rewritten: reused 0, computed 20."
        await pilot.press("f9")
        await until(lambda: isinstance(app.screen, Rewrite))
        await pilot.press("escape")
        await until(lambda: app.screen is chat)
        assert contents(chat)[1] == "one two 2 and more"


@pytest.mark.usefixtures("soon_alone")
async def test_a_stopped_reply_is_continued_where_it_ended(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one two three", reply(" three four", n_prompt=30, n_cached=29)], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press("alt+down")
        await until(lambda: reported(app) == ["There is no reply to continue yet."])
        chat.chat.submit(UserMessage("count"))
        await engine.release(3)
        await until(lambda: chat.transcript.last_reply() == "one two")
        await pilot.press("escape")
        await answered(chat)
        engine.run_free()
        await pilot.press("alt+down")
        await until(lambda: contents(chat) == ["count", "one two three four"] and not chat.chat.running)
        assert (engine.requests[1].reply_ids, engine.requests[1].reply_text) == ((100, 101), "")
        assert reported(app)[-1] == "Continued: reused 29, computed 1."
        await until(lambda: "‹ 2/2 ›" in shown(chat))
        await pilot.press("alt+down")
        await until(lambda: reported(app)[-1].startswith("The model ended this reply itself."))
        assert len(engine.requests) == 2


async def test_quick_steps_and_a_message_while_a_version_is_read_come_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await Store.in_memory()
    app = make_app(tmp_path, ScriptedEngine(["first", "second", "third", "more"]), store=store)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("say"))
        await answered(chat)
        await pilot.press("ctrl+r")
        await until(lambda: contents(chat) == ["say", "second"] and not chat.chat.running)
        await pilot.press("ctrl+r")
        await until(lambda: contents(chat) == ["say", "third"] and "‹ 3/3 ›" in shown(chat))
        called, go_on = slow(store, "messages", monkeypatch)
        await pilot.press("alt+left", "alt+left")
        await called.wait()
        await pilot.press(*"on", "enter")
        await until(lambda: chat.chat.waiting == [UserMessage("on")])
        assert contents(chat) == ["say", "third"]
        go_on.set()
        await until(lambda: contents(chat) == ["say", "first", "on", "more"] and not chat.chat.running)
        assert reported(app) == []


async def test_nothing_is_sent_while_the_session_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        assert chat.chat.can_send
        with monkeypatch.context() as patch:
            patch.setattr(Session, "busy", True)
            chat.chat.submit(UserMessage("say"))
            assert (chat.chat.can_send, chat.chat.waiting) == (False, [UserMessage("say")])
        chat.chat.advance()
        await answered(chat)


async def test_a_version_that_cannot_be_read_is_reported_and_what_waits_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(tmp_path, ScriptedEngine(["first", "second", "more"]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("say"))
        await answered(chat)
        await pilot.press("ctrl+r")
        await until(lambda: contents(chat) == ["say", "second"] and "‹ 2/2 ›" in shown(chat))

        async def damaged(*_: object) -> None:
            chat.chat.submit(UserMessage("on"))
            raise StoreError("chat.db: the database is damaged", "Restore it.")

        with monkeypatch.context() as patch:
            patch.setattr(Session, "choose", damaged)
            await pilot.press("alt+left")
            await until(lambda: reported(app) == ["chat.db: the database is damaged\nRestore it."])
        await until(lambda: contents(chat) == ["say", "second", "on", "more"] and not chat.chat.running)


async def test_the_reply_that_was_clicked_is_rewritten(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["one", "two", " more"]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        await answered(chat)
        chat.chat.submit(UserMessage("second"))
        await answered(chat, 4)
        chat.transcript.chosen_reply = chat.chat.session.branch[1].id
        await pilot.press("f9")
        await until(lambda: isinstance(app.screen, Rewrite))
        await pilot.press(*"!!", "ctrl+s")
        await until(lambda: contents(chat) == ["first", "one!! more"] and not chat.chat.running)


async def test_a_rewritten_text_that_nothing_can_go_on_from_is_in_the_composer(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one"])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        await answered(chat)
        await pilot.press("f9")
        await until(lambda: isinstance(app.screen, Rewrite))
        engine._state = EngineState.NO_MODEL  # pyright: ignore[reportPrivateUsage] a model that was taken away
        await pilot.press(*"!!", "ctrl+s")
        await until(lambda: chat.composer.draft == "one!!")
        assert reported(app) == ["No model is loaded. The text is in the composer."]


async def test_what_waits_goes_on_after_a_fork_that_was_refused(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one", "two three", "four"])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        await answered(chat)
        gone = chat.chat.session.branch[-1]
        await pilot.press("ctrl+n")
        await until(lambda: contents(chat) == [])
        chat.chat.waiting.append(UserMessage("second"))
        chat.run(chat.forking.fork(ForkWanted(gone, 0, text="typed")))
        await until(lambda: contents(chat) == ["second", "two three"] and not chat.chat.running)
        assert chat.composer.draft == "typed"
        assert reported(app) == ["That reply is no longer shown. The text is in the composer."]


async def test_a_fork_at_a_token_that_is_not_known_gives_its_text_back(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["one"]))
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        await answered(chat)
        chat.run(chat.forking.fork(ForkWanted(chat.chat.session.branch[-1], 99, text="typed")))
        await until(lambda: chat.composer.draft == "typed" and not chat.chat.running)
        assert contents(chat) == ["first", "one"]
