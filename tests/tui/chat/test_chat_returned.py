"""What could not be answered is back in the composer, with the reason; the conversation continues without it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from app.domain.conversation import UserMessage
from app.domain.generation import FinishReason
from app.protocol.commands import Generate
from app.protocol.events import EngineLost, GenerationEvent
from app.store.store import Store
from tests.fakes.chat_app import answered, contents, drawn, make_app, ready, shown, until
from tests.fakes.engine_events import make_finished
from tests.fakes.scripted_engine import ScriptedEngine
from tests.tui.parallel.planning import all_done, planned

TOO_LONG = "the prompt has 9,000 tokens, the context window holds 8,192"


class Refusing(ScriptedEngine):
    """Refuses prompts whose last message is about whales as too long, and is lost over one about storms."""

    async def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        text = command.messages[-1].content
        if "storm" in text:
            self.requests.append(command)
            yield EngineLost(9, "killed")
        elif "whale" in text:
            self.requests.append(command)
            yield make_finished(command.request_id, FinishReason.CONTEXT, n_prompt=9000, error=TOO_LONG)
        else:
            async for event in super().generate(command):
                yield event


async def test_a_first_message_that_does_not_fit_is_back_and_nothing_else_is_there(tmp_path: Path) -> None:
    store = await Store.in_memory()
    app = make_app(tmp_path, Refusing(), store=store)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press(*"whales", "enter")
        await until(lambda: chat.composer.text == "whales" and not chat.chat.running)
        assert (contents(chat), chat.chat.session.conversation) == ([], None)
        assert await store.conversations() == []
        await until(lambda: f"{TOO_LONG}. What you wrote is back in the composer. Ctrl+N starts" in drawn(chat))
        assert not chat.has_class("-empty")
        await pilot.press("ctrl+n")
        await until(lambda: chat.has_class("-empty"))
        assert chat.composer.text == "whales"


async def test_a_later_one_leaves_a_conversation_that_goes_on(tmp_path: Path) -> None:
    app = make_app(tmp_path, Refusing(["one", "two"]))
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        await answered(chat)
        await pilot.press(*"whales", "enter")
        await until(lambda: chat.composer.text == "whales" and not chat.chat.running)
        assert contents(chat) == ["first", "one"]
        assert "whales" not in shown(chat)
        await until(lambda: TOO_LONG in drawn(chat))
        assert chat.composer.take_draft() == "whales"
        await pilot.press(*"brief", "enter")
        await answered(chat, 4)
        assert contents(chat)[-1] == "two"


async def test_an_engine_that_is_lost_before_it_begins_gives_the_message_back(tmp_path: Path) -> None:
    app = make_app(tmp_path, Refusing())
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press(*"storm", "enter")
        await until(lambda: chat.composer.text == "storm" and not chat.chat.running)
        lost = "The engine was lost (killed). What you wrote is back in the composer."
        await until(lambda: lost in drawn(chat))
        assert "The next message starts it again." in drawn(chat)


async def test_what_waits_behind_it_comes_back_in_its_order(tmp_path: Path) -> None:
    engine = Refusing(gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("calm"))
        await engine.release(1)
        for text in ("whales", "and dolphins"):
            chat.chat.submit(UserMessage(text))
        engine.run_free()
        await until(lambda: chat.composer.text == "whales\nand dolphins" and not chat.chat.running)
        assert contents(chat)[0::2] == ["calm"]
        assert chat.chat.waiting == []


async def test_it_is_a_draft_before_the_store_forgets_it(tmp_path: Path, monkeypatch) -> None:
    store = await Store.in_memory()
    drafts: list[str] = []
    withdraw = store.withdraw

    async def withdrawing(message_id: int) -> bool:
        select = "SELECT content FROM draft"
        drafts.extend(await store._thread.read(lambda connection: [text for (text,) in connection.execute(select)]))
        return await withdraw(message_id)

    monkeypatch.setattr(store, "withdraw", withdrawing)
    app = make_app(tmp_path, Refusing(), store=store)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press(*"whales", "enter")
        await until(lambda: chat.composer.text == "whales" and not chat.chat.running)
        assert drafts == ["whales"]


async def test_several_replies_that_cannot_begin_give_it_back(tmp_path: Path) -> None:
    app = make_app(tmp_path, Refusing())
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"whales")
        screen = await planned(app, pilot)
        await all_done(screen)
        await pilot.press("escape")
        await until(lambda: app.screen is chat and not chat.chat.running)
        assert (chat.composer.text, contents(chat)) == ("whales", [])
