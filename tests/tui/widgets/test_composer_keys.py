"""The composer under the keys and pastes that a terminal sends."""

from typing import ClassVar

import pytest
from textual import events
from textual.app import App

from app.tui.widgets.composer import Composer


class HostApp(App):
    def __init__(self, placeholder="Ask [something]"):
        super().__init__()
        self.placeholder = placeholder
        self.sent = []

    def compose(self):
        yield Composer(self.placeholder)

    def on_mount(self):
        self.query_one(Composer).focus()

    def on_composer_submitted(self, message):
        self.sent.append(message.sent.text)

    @property
    def composer(self):
        return self.query_one(Composer)

    @property
    def lines(self):
        composer = self.composer
        return [composer.render_line(y).text.rstrip() for y in range(composer.size.height)]


@pytest.fixture
async def host():
    app = HostApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.pilot = pilot
        yield app


async def paste(host, text):
    host.post_message(events.Paste(text))
    await host.pilot.pause()


async def type_text(host, text):
    # All at once: pilot.press waits after every key.
    for char in text:
        host.post_message(events.Key("space" if char == " " else char, char))
    await host.pilot.pause()


async def test_enter_sends_and_ctrl_j_and_shift_enter_break_the_line(host):
    await host.pilot.press("h", "i", "ctrl+j", "y", "shift+enter", "z", "enter")
    assert host.sent == ["hi\ny\nz"]
    assert host.composer.text == ""


async def test_joiners_are_typed_like_letters(host):
    # Persian, Indic scripts and families of emoji need them; Python does not call them printable.
    await type_text(host, "\u0645\u06cc\u200c\u062e 👩\u200d👧")
    assert host.composer.text == "\u0645\u06cc\u200c\u062e 👩\u200d👧"


async def test_keys_of_one_burst_act_in_their_order(host):
    # A slow connection or a terminal without bracketed paste delivers them so.
    keys = [
        "a",
        "b",
        "ctrl+j",
        "c",
        "left",
        "x",
        "end",
        "y",
        "z",
        "backspace",
        "up",
        "home",
        "delete",
        "up",
        "down",
        "1",
    ]
    for key in keys:
        host.post_message(events.Key(key, key if len(key) == 1 else None))
    await host.pilot.pause()
    assert host.composer.text == "b\n1xcy"


async def test_the_xterm_name_of_shift_enter_breaks_the_line(host):
    await host.pilot.press("a")
    host.composer.post_message(events.Key("shift+\r", None))
    await host.pilot.pause()
    await host.pilot.press("b", "enter")
    assert host.sent == ["a\nb"]


async def test_newline_replaces_the_selection_and_leaves_the_cursor_after_it(host):
    await type_text(host, "abc")
    await host.pilot.press("shift+left", "ctrl+j", "d")
    assert host.composer.text == "ab\nd"


async def test_blank_prompts_are_not_sent(host):
    await host.pilot.press("space", "ctrl+j", "enter")
    assert host.sent == []
    assert host.composer.text == " \n"


async def test_the_placeholder_is_literal(host):
    assert host.lines == ["Ask [something]"]


async def test_the_height_follows_the_text_up_to_ten_lines(host):
    heights = []
    for _ in range(12):
        heights.append(host.composer.size.height)
        host.composer.action_newline()
        await host.pilot.pause()
    assert heights == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]


async def test_a_paste_is_inserted_once_with_plain_line_ends(host):
    await paste(host, "a\r\nb\rc\nd")
    await host.pilot.press("enter")
    assert host.sent == ["a\nb\nc\nd"]


async def test_a_long_paste_is_a_chip_and_is_sent_whole(host):
    await type_text(host, "see ")
    await paste(host, "x\n" * 5000)
    await type_text(host, " ok")
    assert host.lines == ["see [Pasted #1: 5001 lines, 10000 chars] ok"]
    await host.pilot.press("enter")
    assert host.sent == ["see " + "x\n" * 5000 + " ok"]


async def test_several_pastes_keep_their_texts(host):
    one, two = "a" * 4001, "\n" * 30
    await paste(host, one)
    await paste(host, two)
    assert host.lines == ["[Pasted #1: 1 line, 4001 chars][Pasted #2: 31 lines, 30 chars]"]
    await host.pilot.press("enter")
    assert host.sent == [one + two]


async def test_pastes_at_the_limits_stay_text(host):
    await paste(host, "b" * 4000)
    await paste(host, "\n" * 29)
    assert host.composer.text == "b" * 4000 + "\n" * 29


async def test_a_chip_typed_by_hand_is_only_text(host):
    await paste(host, "y" * 5000)
    await type_text(host, "[Pasted #1: 1 line, 5000 chars]")
    await host.pilot.press("enter")
    assert host.sent == ["y" * 5000 + "[Pasted #1: 1 line, 5000 chars]"]


async def test_pasting_a_chips_own_marks_forges_nothing(host):
    await paste(host, "y" * 5000)
    forged = "\ufdd0Pasted #1: 1 line, 5000 chars\ufdd1"
    await paste(host, forged)
    await host.pilot.press("enter")
    assert host.sent == ["y" * 5000 + forged]


async def test_backspace_drops_a_whole_chip_and_undo_brings_it_back(host):
    await type_text(host, "a")
    await paste(host, "y" * 5000)
    await host.pilot.press("backspace")
    assert host.composer.text == "a"
    await host.pilot.press("ctrl+z")
    await host.pilot.press("enter")
    assert host.sent == ["a" + "y" * 5000]


async def test_typing_inside_a_chip_goes_behind_it(host):
    await paste(host, "y" * 5000)
    await host.pilot.press("left", "left", "left", "b", "enter")
    assert host.sent == ["y" * 5000 + "b"]


async def test_deleting_over_a_line_end_takes_the_chip_whole(host):
    await paste(host, "y" * 5000)
    await host.pilot.press("ctrl+j", "c", "home", "shift+up", "shift+right", "shift+right", "delete")
    assert host.composer.draft == "c"


async def test_what_cannot_be_shown_is_kept_in_a_chip(host):
    hostile = "a\x1b]52;c;eA==\x07\u202eb\x0cc\u2028d\x85e"
    await paste(host, hostile)
    assert host.lines == ["[Pasted #1: 1 line, 21 chars]"]
    await host.pilot.press("enter")
    assert host.sent == [hostile]


async def test_one_megabyte_survives(host):
    text = "word " * 200_000 + "end"
    await paste(host, text)
    await host.pilot.press("!", "enter")
    assert host.sent == [text + "!"]


async def test_up_and_down_walk_the_history_and_keep_the_draft(host):
    host.composer.set_history(["one", "two\nlines"])
    await type_text(host, "dra")
    seen = []
    for key in ["up", "up", "up", "down", "down", "down"]:
        await host.pilot.press(key)
        seen.append(host.composer.text)
    assert seen == ["two\nlines", "one", "one", "two\nlines", "dra", "dra"]


async def test_a_draft_comes_back_after_a_recalled_prompt_was_sent(host):
    host.composer.set_history(["again"])
    await type_text(host, "draft")
    await host.pilot.press("up", "enter")
    assert host.sent == ["again"]
    assert host.composer.text == "draft"


async def test_edits_of_a_recalled_prompt_are_kept_on_the_walk(host):
    host.composer.set_history(["one", "two"])
    await host.pilot.press("up", "x", "up", "down")
    assert host.composer.text == "twox"


async def test_sent_prompts_join_the_history_once(host):
    for _ in range(2):
        await host.pilot.press("a", "enter")
    await host.pilot.press("b", "enter", "up", "up", "up")
    assert host.composer.text == "a"
    await host.pilot.press("down")
    assert host.composer.text == "b"


async def test_up_inside_several_lines_moves_the_cursor(host):
    host.composer.set_history(["old"])
    await host.pilot.press("a", "ctrl+j", "b", "up")
    assert host.composer.text == "a\nb"
    await host.pilot.press("up")
    assert host.composer.text == "old"
    await host.pilot.press("down")
    assert host.composer.text == "a\nb"


async def test_up_respects_wrapped_lines(host):
    host.composer.set_history(["old"])
    await paste(host, "w" * 200)
    for _ in range(2):
        await host.pilot.press("up")
    assert host.composer.text == "w" * 200
    await host.pilot.press("up")
    assert host.composer.text == "old"


async def test_a_recalled_paste_is_a_chip_again_and_sent_whole(host):
    text = "q: " + "p" * 9000
    await type_text(host, "q: ")
    await paste(host, "p" * 9000)
    await host.pilot.press("enter", "up")
    assert host.lines == ["q: [Pasted #1: 1 line, 9000 chars]"]
    await host.pilot.press("enter")
    assert host.sent == [text, text]


async def test_a_long_prompt_of_another_session_comes_back_whole(host):
    host.composer.set_history(["z" * 100_000])
    await host.pilot.press("up", "enter")
    assert host.sent == ["z" * 100_000]


async def test_put_draft_gives_a_refused_prompt_back_before_what_was_typed(host):
    await type_text(host, "see ")
    await paste(host, "p" * 9000)
    await host.pilot.press("enter")
    await type_text(host, "next")
    host.composer.put_draft(host.sent[0])
    await host.pilot.pause()
    assert host.lines == ["see [Pasted #1: 1 line, 9000 chars]", "next"]
    assert host.composer.draft == "see " + "p" * 9000 + "\nnext"


async def test_take_draft_empties_and_put_draft_restores(host):
    await type_text(host, "a ")
    await paste(host, "p" * 9000)
    taken = host.composer.take_draft()
    assert (taken, host.composer.text) == ("a " + "p" * 9000, "")
    host.composer.put_draft(taken)
    await host.pilot.pause()
    assert host.lines == ["a [Pasted #1: 1 line, 9000 chars]"]


async def test_take_draft_on_the_walk_takes_the_draft_beneath(host):
    host.composer.set_history(["old"])
    await type_text(host, "mine")
    await host.pilot.press("up")
    assert host.composer.take_draft() == "mine"


async def test_ctrl_c_is_left_to_the_app():
    class Copier(HostApp):
        BINDINGS: ClassVar = [("ctrl+c", "took_it", "")]
        took = ""

        def action_took_it(self):
            self.took = self.composer.selected_text

    app = Copier()
    async with app.run_test() as pilot:
        app.post_message(events.Paste("p" * 5000))
        await pilot.pause()
        await pilot.press("b", "f7", "ctrl+c")
        assert app.took == "p" * 5000 + "b"


async def test_cut_and_paste_inside_the_app_keeps_a_paste(host):
    await paste(host, "p" * 5000)
    await host.pilot.press("f7", "ctrl+x")
    assert host.composer.text == ""
    await host.pilot.press("ctrl+v", "enter")
    assert host.sent == ["p" * 5000]


async def test_the_cursor_does_not_blink(host):
    assert not host.composer.cursor_blink
    assert not host.composer.blink_timer._active.is_set()


async def test_enter_in_the_same_burst_as_the_text_sends_it_all(host):
    for char in "hi!":
        host.post_message(events.Key(char, char))
    host.post_message(events.Key("enter", "\r"))
    await host.pilot.pause()
    assert host.sent == ["hi!"]
    assert host.composer.text == ""
