"""The thinking of a reply: folded to one line, opened, copied, and walked by the inspector's bytes."""

from __future__ import annotations

from textual.geometry import Offset
from textual.selection import Selection

from app.domain.conversation import ReplyState
from app.domain.generation import Thinking
from app.tui.transcript.copied import copied
from app.tui.transcript.entry import Entry, Voice, note_block
from app.tui.transcript.pieces import PLAIN_PIECE
from app.tui.transcript.selection import character_at
from tests.tui.transcript.test_copied import laid_out

THOUGHT = "Rain is wet.\nSo is the sea."
TEXT = f"<think>\n{THOUGHT}\n</think>\n\nIt is **wet**.\n\n```py\nx = 1\n```\n"
SPAN = Thinking(8, 8 + len(THOUGHT), TEXT.index("It is"), 12, 6100.0)
FOLDED = "◆ ▸ thought · 12 tokens · 6.1 s"


def thinker(*, is_shown: bool = False) -> Entry:
    entry = Entry(Voice.ASSISTANT, TEXT, 1, SPAN)
    if is_shown:
        entry.toggle_thinking(40)
    return entry


def rows_of(layout) -> list[str]:
    return [line.text if (line := layout.line(row)) else "" for row in range(layout.height)]


def test_a_stored_reply_is_one_line_and_its_answer() -> None:
    rows = rows_of(laid_out(thinker()))
    assert rows[:4] == [FOLDED, "", "  It is wet.", ""]
    assert not any("Rain" in row for row in rows)


def test_it_opens_and_closes_before_it_was_seen_and_after() -> None:
    entry = thinker(is_shown=True)
    layout = laid_out(entry)
    opened = [FOLDED.replace("▸", "▾"), "  │ Rain is wet.", "  │ So is the sea.", "", "  It is wet."]
    assert rows_of(layout)[:5] == opened
    height = layout.height
    assert entry.toggle_thinking(40)
    layout.changed(entry)
    layout.settle(0, 100)
    assert (rows_of(layout)[0], layout.height) == (FOLDED, height - 2)
    assert not Entry(Voice.ASSISTANT, "plain").toggle_thinking(40)


def test_all_of_it_copied_is_what_is_shown() -> None:
    answer = TEXT[SPAN.answer :]
    assert copied(laid_out(thinker()), Selection(None, None)) == answer
    assert copied(laid_out(thinker(is_shown=True)), Selection(None, None)) == TEXT[8:]


def test_a_part_of_it_copied_is_the_text_as_it_was_written() -> None:
    folded, shown = laid_out(thinker()), laid_out(thinker(is_shown=True))
    assert copied(folded, Selection(Offset(0, 0), Offset(20, 0))) == "", "the line itself is no text"
    assert copied(folded, Selection(Offset(2, 2), Offset(12, 2))) == "It is **wet**."
    assert copied(folded, Selection(Offset(0, 0), Offset(7, 2))) == "It is"
    assert copied(shown, Selection(Offset(4, 1), Offset(8, 1))) == "Rain"
    assert copied(shown, Selection(Offset(4, 1), Offset(30, 2))) == THOUGHT
    assert copied(shown, Selection(Offset(10, 2), Offset(4, 4))) == "the sea.\n</think>\n\nIt"


def test_marks_on_the_line_of_the_text_are_not_copied_with_it() -> None:
    entry = Entry(Voice.ASSISTANT, "<think>a b</think>yes it is", 1, Thinking(7, 10, 18, 4))
    assert copied(laid_out(entry), Selection(Offset(2, 2), Offset(11, 2))) == "yes it is"
    entry.toggle_thinking(40)
    assert copied(laid_out(entry), Selection(Offset(4, 1), Offset(9, 1))) == "a b"


def test_a_code_block_of_the_answer_is_copied_with_its_fence() -> None:
    layout = laid_out(thinker())
    row = next(k for k, text in enumerate(rows_of(layout)) if "x = 1" in text)
    assert "x = 1" in copied(layout, Selection(Offset(0, row - 1), Offset(30, row)))


def test_a_character_is_the_one_of_the_text() -> None:
    for entry in (thinker(), thinker(is_shown=True)):
        layout = laid_out(entry)
        assert layout.look is not None
        for wanted in ("wet", "x = 1", *(["sea"] if entry.shows_thinking else [])):
            row = next(k for k, text in enumerate(rows_of(layout)) if wanted in text and "Rain" not in text)
            _, part, within = layout.anchor(row)
            at = character_at(entry, part, within, rows_of(layout)[row].index(wanted), layout.look)
            assert at is not None
            assert TEXT[at:].startswith(wanted)
        assert character_at(entry, 0, 0, 6, layout.look) is None


def test_long_thinking_is_laid_out_in_pieces() -> None:
    thought = "\n".join(f"step {k}" for k in range(2 * PLAIN_PIECE // 8))
    entry = Entry(Voice.ASSISTANT, f"{thought}</think>yes", 1, Thinking(0, len(thought), len(thought) + 8, 9))
    entry.toggle_thinking(40)
    layout = laid_out(entry)
    assert entry.n_head > 2
    layout.settle(0, layout.height)
    last = next(k for k, text in enumerate(rows_of(layout)) if text.endswith(thought.splitlines()[-1]))
    assert copied(layout, Selection(Offset(4, last), Offset(30, last))) == thought.splitlines()[-1]


def test_what_streams_is_one_line_with_the_last_one_at_its_end() -> None:
    entry = Entry(Voice.ASSISTANT, "", 1)
    entry.begin(60)
    layout = laid_out(entry, width=60)
    assert rows_of(layout)[0] == "◆ …"

    def feed(text: str, thinking: Thinking | None) -> list[str]:
        entry.thinking = thinking
        entry.feed(text, 60)
        layout.changed(entry)
        layout.settle(0, 100)
        return rows_of(layout)

    assert feed("<think>", Thinking(0, 0, 7, 1)) == [""] * layout.height, "nothing to see yet"
    assert feed("one\ntwo", Thinking(7, 14, 14, 3, 50.0))[0] == "◆ ▸ thinking · 3 tokens · 0.1 s · two"
    long = " and so on and on" * 6
    row = feed(long, Thinking(7, 14 + len(long), 14 + len(long), 30, 90.0))[0]
    assert row.startswith("◆ ▸ thinking · 30 tokens · 0.1 s · …")
    assert row.endswith("and so on and on")
    assert len(row) <= 58
    end = 14 + len(long)
    rows = feed("</think>\nyes", Thinking(7, end, end + 9, 32, 95.0))
    assert rows[:3] == ["◆ ▸ thought · 32 tokens · 0.1 s", "", "  yes"]
    rows = feed(" *it* is", Thinking(7, end, end + 9, 32, 95.0))
    assert rows[2] == "  yes it is"
    entry.finish(note_block("stopped"), 60)
    layout.changed(entry)
    layout.settle(0, 100)
    assert rows_of(layout)[:5] == ["◆ ▸ thought · 32 tokens · 0.1 s", "", "  yes it is", "", "  ○ stopped"]


def test_a_kept_beginning_turns_out_to_be_thinking() -> None:
    entry = Entry(Voice.ASSISTANT, "<think>so", 1)
    entry.begin(60)
    entry.thinking = Thinking(7, 12, 12, 3)
    entry.feed(" on", 60)
    entry.finish(None, 60)
    rows = rows_of(laid_out(entry, width=60))
    assert rows == ["◆ ▸ thought · 3 tokens · 0.0 s", ""], "it ended while it was thinking"


async def test_a_click_opens_it_and_the_view_stays(app, message) -> None:
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.add(message("\n\n".join(["before"] * 9)))
        app.view.begin_reply(message("", state=ReplyState.STREAMING))
        app.view.thinking = SPAN
        app.view.append(TEXT)
        app.view.finish_reply()
        await pilot.pause()
        top = next(k for k, row in enumerate(app.rows()) if "thought" in row)
        await pilot.click(app.view, offset=(8, top))
        assert app.rows()[top : top + 2] == [FOLDED.replace("▸", "▾"), "  │ Rain is wet."]
        assert app.view.last_reply() == TEXT[SPAN.answer :]
        assert app.view.last_code_block() == "x = 1\n"
        assert app.view.toggle_thinking()
        assert FOLDED in app.rows()
        assert not any("Rain" in row for row in app.rows())
