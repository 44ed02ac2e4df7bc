from __future__ import annotations

import pytest
from rich.style import Style
from textual.geometry import Offset
from textual.selection import Selection

from app.tui.markdown.styles import markdown_styles
from app.tui.transcript.copied import copied
from app.tui.transcript.entry import Entry, EntryStyle, Voice, note_block
from app.tui.transcript.layout import Layout

STYLES = markdown_styles(Style(color="#e0e0e0", bgcolor="#101010"), {"primary": "#3366ff"}, "monokai")
WIDTH = 40


def laid_out(*entries: Entry, width: int = WIDTH) -> Layout:
    layout = Layout()
    layout.set_look(EntryStyle(width, STYLES))
    for entry in entries:
        layout.add(entry)
    layout.settle(0, 1000)
    return layout


def reply(text: str) -> Entry:
    return Entry(Voice.ASSISTANT, text, 1)


def from_to(layout: Layout, first: str, last: str) -> str:
    """Copies from where the text `first` begins to where `last` ends, as they are seen."""
    rows = [line.text if (line := layout.line(row)) else "" for row in range(layout.height)]
    top = next(k for k, row in enumerate(rows) if first in row)
    bottom = next(k for k, row in enumerate(rows) if k >= top and last in row)
    begin, end = rows[top].index(first), rows[bottom].index(last) + len(last)
    return copied(layout, Selection(Offset(begin, top), Offset(end, bottom)))


TEXT = """\
# A *title*

Some **bold words** and `code`, [a link](http://x.y) in a paragraph that is wrapped.

1969. first
1970. **second** one
   - nested

> quoted
> **again**

```py
x = 1
y = 2
```

| a | **b** |
|---|---|
| one | two `2` |
| some longer words that wrap | \\| |

Old pond
  a *frog*
"""

CASES = {
    "a word in bold": ("bold", "bold", "bold"),
    "all that is bold": ("bold words", "bold words", "bold words"),
    "more than the bold": ("Some", "bold words", "Some **bold words**"),
    "from the bold on": ("bold words", "and", "**bold words** and"),
    "a part of the bold": ("Some", "bold", "Some **bold"),
    "code and link": ("and", "y)", "and `code`, [a link](http://x.y)"),
    "over a wrapped line": ("in a", "wrapped.", "in a paragraph that is wrapped."),
    "a heading": ("A", "title", "# A *title*"),
    "a word of a heading": ("title", "title", "title"),
    "an item with its number": ("1969.", "first", "1969. first"),
    "the text of an item": ("first", "first", "first"),
    "a list": ("1969.", "nested", "1969. first\n1970. **second** one\n   - nested"),
    "from the middle of a list": ("second", "nested", "**second** one\n   - nested"),
    "a quote": ("quoted", "again", "> quoted\n> **again**"),
    "code alone": ("x = 1", "y = 2", "x = 1\ny = 2"),
    "a line of code": ("x = 1", "x = 1", "x = 1"),
    "code with its label": ("py", "y = 2", "```py\nx = 1\ny = 2\n```"),
    "what stands around code": ("again", "y = 2", "> **again**\n\n```py\nx = 1\ny = 2\n```"),
    "a cell": ("one", "one", "one"),
    "marks in a cell": ("two", "2", "two `2`"),
    "a part of a cell that is wrapped": ("longer", "that wrap", "longer words that wrap"),
    "cells of a row": ("ne  ", "two", "| one | two `2` |"),
    "a table": ("a  ", "that wrap", TEXT[TEXT.index("| a") : TEXT.index("\n\nOld")]),
    "a poem": ("Old", "frog", "Old pond\n  a *frog*"),
    "into a table": ("Old", "a", "Old pond\n  a"),
    "from a table on": ("ne  ", "pond", TEXT[TEXT.index("| one") : TEXT.index("\n  a *")]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_selected_is_copied_as_it_was_written(case: str) -> None:
    first, last, expected = CASES[case]
    assert from_to(laid_out(reply(TEXT)), first, last) == expected


def test_all_is_all() -> None:
    layout = laid_out(reply("\n" + TEXT))
    assert copied(layout, Selection(None, None)) == "\n" + TEXT
    assert copied(layout, Selection(Offset(0, 0), Offset(0, layout.height - 1))) == "\n" + TEXT
    assert copied(layout, Selection(Offset(0, 0), None)) == "\n" + TEXT


def test_messages_are_parted_by_a_blank_line_and_notes_are_as_they_are_shown() -> None:
    answer = reply("*x*\n")
    answer.note = note_block("stopped by you")
    notice = Entry(Voice.NOTICE)
    notice.note = note_block("model loaded")
    layout = laid_out(Entry(Voice.USER, "\tdo *it*\n\nnow", 2), answer, notice, reply("**y**"))
    assert (
        copied(layout, Selection(None, None))
        == "\tdo *it*\n\nnow\n\n*x*\n\n○ stopped by you\n\n○ model loaded\n\n**y**"
    )
    assert from_to(layout, "now", "x") == "now\n\n*x*"
    assert from_to(layout, "stopped", "loaded") == "stopped by you\n\n○ model loaded"
    assert from_to(layout, "do", "it") == "do *it"


def test_hostile_text_is_copied_as_it_was_written() -> None:
    text = "a \x1b]52;c;x\x07 *e*\u202e **f**\u2028d"
    layout = laid_out(reply(text))
    assert copied(layout, Selection(None, None)) == text
    assert from_to(layout, "e", "f") == text[text.index("*e") : text.index("\u2028")]


def test_of_a_reply_without_text_nothing_is_copied() -> None:
    layout = laid_out(Entry(Voice.USER, "hi", 2), reply(""), reply("after"))
    rows = range(layout.height)
    assert {copied(layout, Selection(Offset(0, row), Offset(9, row + 1))) for row in rows} == {"hi", "", "after"}


def test_what_streams_is_copied_up_to_its_end() -> None:
    entry = reply("")
    entry.begin(WIDTH)
    layout = laid_out(entry)
    entry.feed("one **two** three\n- ", WIDTH)
    layout.changed(entry)
    layout.settle(0, 100)
    assert copied(layout, Selection(None, None)) == "one **two** three\n- "
    assert from_to(layout, "one", "two") == "one **two**"


def test_long_code_is_one_fence_however_many_pieces_it_is_laid_out_in() -> None:
    code = "\n".join(f"line {k}" for k in range(900))
    text = f"before\n\n```\n{code}\n```\n\nafter"
    layout = laid_out(reply(text))
    assert from_to(layout, "before", "line 899") == text.removesuffix("\n\nafter")
    assert from_to(layout, "line 0", "line 899") == code
    assert from_to(layout, "line 500", "after") == text[text.index("line 500") :]
