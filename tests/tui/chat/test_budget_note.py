"""The composer's border shows what a draft takes of the window, as long as that is true."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.geometry import Region

from app.domain.conversation import Role, UserMessage
from app.domain.generation import PromptSpans
from app.protocol.commands import ChatMessage, Tokenize
from app.protocol.events import PromptFit
from app.session.budget import MAX_CHARS
from app.tui.chat import budget
from app.tui.chat.screen import ChatScreen
from tests.fakes.chat_app import answered, make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply

TRIMMED = PromptFit(PromptSpans(5, 300, 40), 4, 1300)
WIDE = "does not fit: the 4 oldest messages (1,300 tokens) left out · 40 tokens · 7,847 left"


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "PAUSE_S", 0.02)


def lower_border(chat: ChatScreen) -> str:
    """The composer's last line as it is drawn."""
    composer = chat.composer
    strips = composer.render_lines(Region(0, 0, *composer.outer_size))
    return strips[-1].text.strip("╰╯─ ")


async def noted(chat: ChatScreen, text: str) -> None:
    await until(lambda: chat.composer.note_shown == text)


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (40, 10)])
async def test_a_draft_is_counted_with_the_messages_before_it(tmp_path: Path, size: tuple[int, int]) -> None:
    engine = ScriptedEngine(["Hello there."])
    app = make_app(tmp_path, engine, preset="deterministic")
    async with app.run_test(size=size) as pilot:
        chat = await ready(app)
        await pilot.press(*"Hi you")
        await noted(chat, "8 tokens · 8,183 left")
        await until(lambda: lower_border(chat) == "8 tokens · 8,183 left")
        assert not chat.composer.has_class("-warns")
        await pilot.press("enter")
        await answered(chat)
        await noted(chat, "")
        await until(lambda: lower_border(chat) == "")
        await pilot.press("A", "h")
        await noted(chat, "7 tokens · 8,172 left")
        said = ((Role.USER, "Hi you"), (Role.ASSISTANT, "Hello there."), (Role.USER, "Ah"))
        asked = engine.tokenized[-1]
        assert asked == Tokenize(
            asked.request_id, messages=tuple(ChatMessage(*each) for each in said), fit_only=True, context_policy="stop"
        )


async def test_what_does_not_hold_any_more_goes_with_the_next_key(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press(*"Hi")
        await noted(chat, "7 tokens · 8,184 left")
        await pilot.press("ctrl+u")
        await noted(chat, "")


async def test_an_edit_takes_the_note_away_before_anything_hears_of_it(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press(*"Hi")
        await noted(chat, "7 tokens · 8,184 left")
        chat.composer.insert(" you")
        assert chat.composer.note_shown == ""
        await noted(chat, "8 tokens · 8,183 left")


async def test_nothing_is_asked_while_a_reply_is_written(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("go"))
        await engine.release(2)
        await pilot.press(*"Hi")
        assert chat.budget._timer is None  # pyright: ignore[reportPrivateUsage]  no other sign that nothing will be asked
        engine.run_free()
        await answered(chat)
        await noted(chat, "7 tokens · 8,172 left")
        assert len(engine.tokenized) == 1


async def test_a_preset_with_a_system_prompt_counts_anew(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press(*"Hi")
        await noted(chat, "7 tokens · 8,184 left")
        chat._session.settings = replace(chat._session.settings, preset=app.services.presets["precise"])  # pyright: ignore[reportPrivateUsage]  what the picker does
        chat.refresh_state()
        await noted(chat, "7 tokens · 8,163 left")


@pytest.mark.parametrize(
    ("size", "fit", "reported"),
    [
        ((140, 40), TRIMMED, WIDE),
        ((80, 24), TRIMMED, "does not fit: 4 oldest left out · 7,847 left"),
        ((40, 10), TRIMMED, "4 oldest left out"),
        ((80, 24), PromptFit(PromptSpans(0, 0, 9000)), "does not fit: 9,000 tokens, the window holds 8,192: no reply"),
        ((80, 24), PromptFit(PromptSpans(0, 8000, 40)), "40 tokens · 152 left, then the reply ends"),
        (
            (80, 24),
            PromptFit(PromptSpans(0, 8000, 40), shifts=True),
            "40 tokens · 152 left, then the oldest half is forgotten",
        ),
    ],
)
async def test_what_does_not_fit_is_said_in_words(
    tmp_path: Path, size: tuple[int, int], fit: PromptFit, reported: str
) -> None:
    engine = ScriptedEngine()
    engine.fit = fit
    app = make_app(tmp_path, engine)
    async with app.run_test(size=size) as pilot:
        chat = await ready(app)
        await pilot.press(*"Hi")
        await noted(chat, reported)
        assert chat.composer.has_class("-warns")
        await until(lambda: lower_border(chat) == reported)


async def test_the_note_takes_another_form_when_the_window_changes(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    engine.fit = TRIMMED
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press(*"Hi")
        await noted(chat, "does not fit: 4 oldest left out · 7,847 left")
        await pilot.resize_terminal(140, 40)
        await noted(chat, WIDE)


async def test_a_text_beyond_the_bound_is_counted_in_part_and_said_to_be_so(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        chat.composer.put_draft("word " * (MAX_CHARS // 5 + 1))
        await noted(chat, "does not fit: at least 40,000 tokens, the window holds 8,192: no reply")
        assert chat.composer.has_class("-warns")
        assert [len(message.content) for message in engine.tokenized[-1].messages] == [MAX_CHARS]
