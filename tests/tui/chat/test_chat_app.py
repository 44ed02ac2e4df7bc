"""What holds everywhere: keys, sizes, themes, notices and the way out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual import events

from app.domain.conversation import UserMessage
from app.tui.app import _TWICE_S  # pyright: ignore[reportPrivateUsage] a bound of the test
from app.tui.transcript.widget import Transcript
from app.tui.widgets.bar import Bar
from tests.fakes.chat_app import make_app, ready, reported, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply


async def test_the_users_keys_hold(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(), keys={"palette": "f9", "nonsense": "f8"})
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        assert reported(app) == ["[keys] there is no command 'nonsense'"]
        await pilot.press("ctrl+p")
        assert app.screen is chat
        await pilot.press("f9")
        await until(lambda: app.screen is not chat)


async def test_what_is_wrong_in_the_configuration_is_reported(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(), notices=("config.toml:3: [oops] is [/no] key",))
    async with app.run_test(size=(120, 36)):
        await ready(app)
        assert reported(app) == ["config.toml:3: [oops] is [/no] key"]


async def test_interrupt_stops_and_twice_quits(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("go"))
        await engine.release(2)
        await pilot.press("ctrl+c")
        await until(lambda: not chat.chat.running)
        assert reported(app) == ["Stopped. Ctrl+C again quits."]
        assert [notification.timeout for notification in app._notifications] == [_TWICE_S]  # pyright: ignore[reportPrivateUsage] no other way
        await pilot.press("ctrl+c")
    assert app.return_code == 0


async def test_interrupt_copies_what_is_selected(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press(*"hello")
        chat.composer.select_all()
        await pilot.press("ctrl+c", "ctrl+c")
        assert app.clipboard == "hello"
        assert app.is_running


async def test_commands_that_copy(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["Look:\n\n```python\nprint(1)\n```\n"]))
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press("f5")
        assert reported(app) == ["There is no last reply to copy."]
        chat.chat.submit(UserMessage("show"))
        await until(lambda: len(chat.chat.session.branch) == 2 and not chat.chat.running)
        await pilot.press("f8")
        assert app.clipboard.strip() == "print(1)"
        await pilot.press("f5")
        assert app.clipboard == "Look:\n\n```python\nprint(1)\n```\n"
        chat.action_command("copy_conversation")
        assert app.clipboard == "# show\n\n## You\n\nshow\n\n## Model\n\nLook:\n\n```python\nprint(1)\n```\n"


async def test_typing_anywhere_goes_to_the_composer(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("hi"))
        await until(lambda: not chat.chat.running)
        chat.transcript.focus()
        await pilot.press("w", "o", "w")
        await until(lambda: chat.composer.text == "wow")
        assert app.focused is chat.composer


async def test_a_burst_of_keys_typed_elsewhere_loses_none(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["hello", "again"]))
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("hi"))
        await until(lambda: len(chat.chat.session.branch) == 2 and not chat.chat.running)
        chat.transcript.focus()
        await until(lambda: app.focused is chat.transcript)
        for key in ["o", "n", "ctrl+j", "x", "backspace", "i", "s", "enter"]:
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(lambda: len(chat.chat.session.branch) == 4)
        assert chat.chat.session.branch[2].content == "on\nis"


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((140, 40), {"panels"}),
        ((100, 30), {"panels"}),
        ((99, 30), {"status"}),
        ((80, 24), {"status"}),
        ((40, 10), {"status"}),
    ],
)
async def test_sizes(tmp_path: Path, size: tuple[int, int], shown: set[str]) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=size) as pilot:
        chat = await ready(app)
        await pilot.pause()
        assert {name for name in ("panels", "status", "too-small") if chat.query_one(f"#{name}").display} == shown
        assert chat.composer.size.height >= 1
        assert chat.composer.region.bottom <= size[1]


@pytest.mark.parametrize("size", [(39, 24), (80, 9), (1, 1)])
async def test_too_small_is_reported_and_survived(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make_app(tmp_path, ScriptedEngine(["answer"]))
    async with app.run_test(size=size) as pilot:
        chat = await ready(app)
        await pilot.pause()
        shown = [widget.id for widget in chat.children if widget.display and widget.id]
        assert shown == ["too-small"]
        chat.chat.submit(UserMessage("hi"))
        await until(lambda: len(chat.chat.session.branch) == 2 and not chat.chat.running)
        await pilot.resize_terminal(100, 30)
        await until(lambda: chat.panels.display and chat.transcript.size.height > 3)
        assert chat.transcript.last_reply() == "answer"


async def test_resizing_while_it_streams(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("word " * 60)], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("go"))
        for size in ((40, 10), (200, 60), (20, 5), (80, 24), (100, 30)):
            await engine.release(10)
            await pilot.resize_terminal(*size)
        engine.run_free()
        await until(lambda: len(chat.chat.session.branch) == 2 and not chat.chat.running)
        assert chat.transcript.last_reply() == "word " * 60


async def test_panels_are_hidden_and_stay_so(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    memory = app.services.memory
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press("ctrl+g")
        await until(lambda: not chat.panels.display)
    app = make_app(tmp_path, ScriptedEngine(), memory=memory)
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        assert not chat.panels.display


def user_theme(folder: Path, text: str) -> Path:
    path = folder / "themes" / "mine.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


async def test_a_users_theme_is_worn_and_reloaded(tmp_path: Path) -> None:
    user_theme(tmp_path, 'name = "mine"\n[colors]\nprimary = "#112233"\n')
    app = make_app(tmp_path, ScriptedEngine(), theme="mine")
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        assert app.theme == "mine"
        assert app.theme_variables["primary"].lower() == "#112233"
        user_theme(tmp_path, 'name = "mine"\n[colors]\nprimary = "#445566"\n')
        chat.action_command("reload_themes")
        await until(lambda: app.theme_variables["primary"].lower() == "#445566")
        await pilot.pause()


@pytest.mark.parametrize(
    "broken",
    [
        'name = "mine"\n[colors]\nprimary = "notacolour"\n',
        'name = "mine"\n[colors]\nprimary = "#112233"\n[variables]\nlink-style = "bogus"\n',
        'name = "mine"\n[colors]\nprimary = "#112233"\n[variables]\nfooter-key-foreground = "notacolor"\n',
        "name = \n",
    ],
)
async def test_a_broken_theme_is_a_notice(tmp_path: Path, broken: str) -> None:
    user_theme(tmp_path, broken)
    app = make_app(tmp_path, ScriptedEngine(), theme="mine")
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app)
        assert app.theme == "graphite"
        assert any("mine.toml" in notice for notice in reported(app))
        assert "There is no theme “mine”. Ctrl+T chooses another." in reported(app)
        await pilot.press("ctrl+t")
        await pilot.pause()


async def test_hostile_titles_do_no_harm(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["[/x] [b] [@click=app.quit]x[/]"]))
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("[/] [@click=app.quit]go[/] \x1b]0;owned\x07"))
        await until(lambda: len(chat.chat.session.branch) == 2 and not chat.chat.running)
        header = chat.query_one("#header", Bar).text
        assert "\x1b" not in header
        assert "[/] [@click=app.quit]go[/]" in header
        await pilot.press("ctrl+b")
        await until(lambda: app.screen is not chat)
        await pilot.pause()
        await pilot.press("escape")
        await until(lambda: app.screen is chat)


async def test_no_color_means_the_terminals_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(tmp_path, ScriptedEngine(), theme="ember")
    async with app.run_test(size=(120, 36)):
        await ready(app)
        assert app.theme == "terminal"
        assert app.native_ansi_color


async def test_a_crash_leaves_a_report_without_anybodys_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    monkeypatch.setattr(Transcript, "action_to_start", explode)

    async def crash() -> None:
        async with app.run_test(size=(120, 36)) as pilot:
            await ready(app)
            await pilot.press(*"secret", "ctrl+home")

    with pytest.raises(ZeroDivisionError):
        await crash()
    assert app.return_code == 1
    (report,) = (tmp_path / "tokscope" / "cache").glob("crash-*.txt")
    assert report.stat().st_mode & 0o777 == 0o600
    text = report.read_text() + "".join(capsys.readouterr())
    assert "ZeroDivisionError" in text
    assert "canary" not in text
    assert "secret" not in text


def explode(_transcript: Transcript) -> None:
    prompt = "".join(["can", "ary"])
    assert prompt
    raise ZeroDivisionError


async def test_a_changed_theme_file_is_worn_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKSCOPE_CONFIG_DIR", str(tmp_path))
    user_theme(tmp_path, 'name = "mine"\n[colors]\nprimary = "#112233"\n')
    app = make_app(tmp_path, ScriptedEngine(), theme="mine")
    async with app.run_test(size=(120, 36)):
        await ready(app)
        path = user_theme(tmp_path, 'name = "mine"\n[colors]\nprimary = "#445566"\n')
        os.utime(path, ns=(1, 1))
        await until(lambda: app.theme_variables["primary"].lower() == "#445566")


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_the_pill_shows_of_new_text_below_and_hides_none(tmp_path: Path, size: tuple[int, int]) -> None:
    engine = ScriptedEngine(["line\n\n" * 40, reply("word\n\n" * 20)], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=size) as pilot:
        chat = await ready(app)
        engine.permit(60)
        chat.chat.submit(UserMessage("go"))
        await until(lambda: len(chat.chat.session.branch) == 2 and not chat.chat.running)
        chat.chat.submit(UserMessage("more"))
        await until(lambda: chat.chat.running and chat.transcript.size and chat.transcript.max_scroll_y)
        await pilot.press("pageup")
        await until(lambda: not chat.transcript.follow)
        engine.run_free()
        await until(lambda: not chat.chat.running)
        await until(lambda: chat.pill.display)
        assert str(chat.pill.render()).startswith("↓ ")
        assert str(chat.pill.render()).endswith("Ctrl+End")
        stage = chat.query_one("#stage")
        await until(lambda: chat.transcript.region.bottom == chat.pill.region.y == stage.region.bottom - 1)
        assert chat.pill.region.width == chat.transcript.region.width == stage.content_region.width
        assert not chat.transcript.follow
        await pilot.press("ctrl+end")
        await until(lambda: not chat.pill.display)
