from __future__ import annotations

import random

import pytest
from textual.events import MouseScrollDown, MouseScrollUp
from textual.widgets import Static

from app.domain.conversation import ReplyState, Role
from app.tui.transcript.view import WHEEL_ROWS

SIZES = pytest.mark.parametrize("size", [(80, 24), (200, 50)])
REPLY = "# Rain\n\nIt **falls** from clouds.\n\n" + "".join(f"{k}. item {k}\n" for k in range(1, 60))


@SIZES
async def test_it_follows_lets_go_and_follows_again(app, message, size) -> None:
    async with app.run_test(size=size) as pilot:
        app.view.add(message("hello", Role.USER))
        app.view.begin_reply(message("", state=ReplyState.STREAMING))
        app.view.append(REPLY)
        assert app.at_end
        assert app.view.follow
        await pilot.press("pageup")
        assert not app.view.follow
        before = app.view.scroll_offset.y
        shown = app.rows()
        app.view.append("60. more\n61. and more\n62. end\n")
        assert app.view.scroll_offset.y == before
        assert app.rows() == shown
        await pilot.pause()
        assert app.heard == [(False, 0), (False, 3)]
        await pilot.press("G")
        assert app.at_end
        app.view.append("63. x\n\n")
        assert app.at_end
        await pilot.pause()
        assert app.heard[-1] == (True, 0)


@SIZES
async def test_new_lines_are_counted_whatever_becomes_of_the_heights_above(app, message, size) -> None:
    async with app.run_test(size=size) as pilot:
        app.view.begin_reply(message("", state=ReplyState.STREAMING))
        app.view.append("".join(f"[{k}](http://a.b/{'long' * 60})\n\n" for k in range(200)))
        end = app.rows()
        await pilot.press("pageup", "pageup")
        app.view.append("new\n\nand *new*\n\n")
        await pilot.press("home")
        app.view.append("end\n\n")
        await pilot.pause()
        assert app.heard == [(False, 0), (False, 4), (False, 6)]
        await pilot.press("G")
        assert app.rows()[-8:-1] == [*end[-2:-1], "", "  new", "", "  and new", "", "  end"]


async def test_a_key_before_the_first_layout_scrolls_nothing(app, message) -> None:
    class Early(type(app)):
        def on_mount(self) -> None:
            self.view.add(message(REPLY))
            self.view.action_scroll_pages(-1)
            self.view.action_to_start()

    early = Early()
    async with early.run_test(size=(80, 24)):
        assert early.view.follow
        assert early.at_end
        assert early.rows()[-2] == "  59. item 59"
        assert early.heard == []


async def test_scrolling_keys_and_wheel(app, message) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.add(message(REPLY))
        end = app.view.max_scroll_y
        await pilot.press("up", "k")
        assert app.view.scroll_offset.y == end - 2
        await pilot.press("j")
        assert app.view.scroll_offset.y == end - 1
        await pilot.press("g")
        assert app.view.scroll_offset.y == 0
        assert app.rows()[0] == "◆ Rain"
        await pilot.press("pagedown")
        assert app.view.scroll_offset.y == 23
        await pilot.press("end")
        assert app.view.follow
        end = app.view.scroll_offset.y
        await pilot._post_mouse_events([MouseScrollUp], app.view)
        assert app.view.scroll_offset.y == end - WHEEL_ROWS
        await pilot._post_mouse_events([MouseScrollDown], app.view)
        assert app.view.follow


@SIZES
async def test_five_hundred_messages_are_laid_out_lazily(app, message, size) -> None:
    async with app.run_test(size=size) as pilot:
        app.view.show([message(f"{REPLY}\nmessage {k}") for k in range(500)])
        await pilot.pause()
        assert app.view._layout.n_laid <= 2
        assert "message 499" in "\n".join(app.rows())
        await pilot.press("g")
        assert app.rows()[0] == "◆ Rain"
        assert app.view._layout.n_laid <= 4


async def test_scrolling_up_into_messages_never_seen_keeps_the_view(app, message) -> None:
    async with app.run_test(size=(80, 24)):
        app.view.show([message("\n\n".join(f"p{k}-{n}" for n in range(30))) for k in range(20)])
        for _ in range(500):
            shown = app.rows()
            app.view.action_scroll_rows(-1)
            assert app.rows()[1:] == shown[:-1]


async def test_resize_storm_keeps_the_end_or_the_message(app, message) -> None:
    rng = random.Random(1)
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.show([message(REPLY) for _ in range(30)])
        app.view.begin_reply(message("", state=ReplyState.STREAMING))
        for _ in range(25):
            await pilot.resize_terminal(rng.randint(1, 200), rng.randint(1, 60))
            app.view.append("some **more** text 漢字\n")
            assert app.at_end
            assert all(
                strip.cell_length == app.view.size.width for strip in app.view.render_lines(app.view.size.region)
            )
        await pilot.resize_terminal(80, 24)
        await pilot.press("g", "pagedown")
        shown = app.rows()[0]
        await pilot.resize_terminal(120, 30)
        await pilot.resize_terminal(80, 24)
        assert app.rows()[0] == shown


async def test_a_flush_is_one_frame_and_paints_only_what_changed(app, message, monkeypatch) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.begin_reply(message("", state=ReplyState.STREAMING))
        app.view.append("One line")
        await pilot.pause()
        painted: list[object] = []
        layouts: list[object] = []
        monkeypatch.setattr(type(app.view), "refresh", lambda self, *regions, **how: painted.append((regions, how)))
        monkeypatch.setattr(app.screen, "_refresh_layout", lambda *_, **__: layouts.append(1))
        app.view.append(" and more")
        assert [regions[0][1] for regions, _ in painted] == [0], "the first row only"
        app.view.append("\n\nanother")
        assert painted[1:] == [((), {})], "the height changed: all of it, once"
        assert layouts == []


async def test_notes_notices_and_failures(app, message) -> None:
    async with app.run_test(size=(60, 24)) as pilot:
        app.view.begin_reply(message("", state=ReplyState.STREAMING))
        app.view.append("Half a thought [/] ``")
        app.view.finish_reply("stopped by you")
        app.view.notice("model\nloaded")
        app.view.begin_reply(message("", state=ReplyState.STREAMING))
        assert app.rows()[7] == "◆ …"
        app.view.finish_reply("engine lost: \x1b[31mkilled", failed=True)
        app.view.append("too late")
        app.view.finish_reply()
        await pilot.pause()
        assert app.rows()[:8] == [
            "◆ Half a thought [/] ``",
            "",
            "  ○ stopped by you",
            "",
            "  ○ model",
            "    loaded",
            "",
            "◆ ✗ engine lost: ␛[31mkilled",
        ]


async def test_a_notice_below_a_reply_moves_along_with_it(app, message) -> None:
    async with app.run_test(size=(60, 24)):
        app.view.begin_reply(message("", state=ReplyState.STREAMING))
        app.view.append("half")
        app.view.notice("the engine was lost", failed=True)
        app.view.append(" a\nthought")
        app.view.finish_reply("interrupted", failed=True)
        assert app.rows()[:7] == [
            "◆ half a", "  thought", "", "  ✗ interrupted", "", "  ✗ the engine was lost", "",
        ]  # fmt: skip


async def test_stored_states_say_how_a_reply_ended(app, message) -> None:
    async with app.run_test(size=(60, 24)):
        app.view.show([message("half", state=ReplyState.STOPPED), message("gone", state=ReplyState.INTERRUPTED)])
        assert [row for row in app.rows() if row] == [
            "◆ half", "  ○ stopped by you", "◆ gone", "  ✗ interrupted; this is what had arrived",
        ]  # fmt: skip


async def test_what_can_be_copied_as_a_whole(app, message) -> None:
    async with app.run_test():
        assert app.view.last_reply() == ""
        assert app.view.last_code_block() is None
        app.view.show([message("```\ncode\n```"), message("**text**"), message("mine", Role.USER)])
        assert app.view.last_reply() == "**text**"
        assert app.view.last_code_block() == "code\n"


async def test_a_pasted_megabyte_is_laid_out_where_it_is_seen(app, message) -> None:
    async with app.run_test(size=(80, 24)):
        app.view.add(message("word " * 200_000, Role.USER))
        entry = app.view._layout.entries[0]
        assert len(entry.parts) > 100
        assert entry.n_laid <= 2


async def test_it_takes_up_another_theme(app, message) -> None:
    async with app.run_test(size=(60, 10)) as pilot:
        app.view.show([message("text")])
        before = app.view.render_lines(app.view.size.region)[0]
        app.theme = "textual-light"
        await pilot.pause()
        app.view.restyle()
        after = app.view.render_lines(app.view.size.region)[0]
        assert before.text == after.text
        assert before != after


async def test_streamed_and_stored_replies_look_the_same(app, message) -> None:
    text = REPLY + "\n[a][1] and\n\n```py\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[1]: http://example.org\n"
    async with app.run_test(size=(80, 200)):
        app.view.show([message(text)])
        stored = app.view.render_lines(app.view.size.region)
        app.view.show([])
        app.view.begin_reply(message("", state=ReplyState.STREAMING))
        for at in range(0, len(text), 3):
            app.view.append(text[at : at + 3])
        app.view.finish_reply()
        assert app.view.render_lines(app.view.size.region) == stored


async def test_hidden_and_shown_again(app, message) -> None:
    async with app.run_test(size=(60, 10)) as pilot:
        app.view.display = False
        await app.mount(Static("x"))
        await pilot.pause()
        app.view.show([message("text")])
        app.view.display = True
        await pilot.pause()
        assert app.rows()[0] == "◆ text"
