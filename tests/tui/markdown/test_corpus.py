"""Replies of every kind, as models write them: nothing of them is lost on the screen, in a stream, and in a copy.

In corpus.txt, snippets are parted by lines of `%%`. Between « and » stand the marks: characters that are drawn as
something else (a weight, a bullet, a bar, a rule, a link), and so are not seen. All others but blanks are seen. There
are no other marks: ␠ is a blank at the end of a line, ⇥ a tab.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.style import Style

from app.tui.markdown.blocks import Block, Splitter, split
from app.tui.markdown.fence import shown_part
from app.tui.markdown.lines import Line
from app.tui.markdown.render import render
from app.tui.markdown.styles import markdown_styles
from app.tui.transcript.copied import copied_from
from app.tui.transcript.entry import Entry, EntryStyle, Voice
from app.tui.transcript.laid import Laid

STYLES = markdown_styles(Style(color="#e0e0e0", bgcolor="#101010"), {"primary": "#3366ff"}, "monokai")
GUTTER = (("  ", STYLES.base), ("  ", STYLES.base))
WIDTHS = pytest.mark.parametrize("width", [80, 40])
MARKED = Path(__file__).with_name("corpus.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n%%\n")
MARKS = set("*_~`#>-+|:=[]()!<>\\'\"/.{}$&")
"""What may be taken for a mark before the rest of it is there."""


def read(marked: str) -> tuple[str, set[int]]:
    """The snippet, and the offsets of what must be seen."""
    source, seen, is_mark = "", set[int](), False
    for char in marked.replace("␠", " ").replace("⇥", "\t"):
        if char in "«»":
            is_mark = char == "«"
            continue
        if not is_mark and not char.isspace():
            seen.add(len(source))
        source += char
    return source, seen


CORPUS = [read(marked) for marked in MARKED]


@cache
def lines_of(block: Block, width: int) -> list[Line]:
    return render(block, width, STYLES, GUTTER)


def on_screen(blocks: list[Block], width: int) -> Counter[str]:
    return Counter("".join("".join(line.text.split()) for block in blocks for line in lines_of(block, width)))


def opened(source: str, width: int) -> Entry:
    entry = Entry(Voice.ASSISTANT, source, 1)
    entry.open(width)
    look = EntryStyle(width, STYLES)
    for part in range(len(entry.parts)):
        entry.lay(part, look)
    return entry


def test_the_corpus_is_one() -> None:
    assert len(CORPUS) >= 400
    assert len({source for source, _ in CORPUS}) == len(CORPUS)


@WIDTHS
def test_all_that_was_written_is_seen_but_the_marks_that_are_drawn(width: int) -> None:
    for source, seen in CORPUS:
        missing = Counter(source[k] for k in seen) - on_screen(split(source), width)
        assert not missing, (source, missing)


@WIDTHS
def test_each_character_stands_where_it_was_written(width: int) -> None:
    for source, seen in CORPUS:
        entry = opened(source, width)
        shown: set[int] = set()
        for index, part in enumerate(entry.parts):
            laid = Laid(entry, index, EntryStyle(width, STYLES))
            assert [line.text[2:] for line in laid.lines] == [line.text[2:] for line in lines_of(part.block, width)]
            for row, line in enumerate(laid.lines, laid.n_rows - len(laid.lines)):
                for found in laid.row(row):
                    if line.aside and found.end - found.start > 1:  # the opening line of a fence
                        n_marks = len(re.match(r"[ ]*[`~]*", source[found.start :])[0])
                        shown |= set(range(found.start + n_marks, found.end))
                    elif source[found.end - 1] == line.strip.text[found.x]:
                        shown |= set(range(found.start, found.end))
        assert seen == {k for k in shown if not source[k].isspace()}, source


def test_streamed_at_every_character_nothing_vanishes_and_the_end_is_the_same() -> None:
    for source, seen in CORPUS:
        splitter = Splitter()
        for at, char in enumerate(source, 1):
            splitter.feed(char)
            n_shown = len(shown_part(source[:at], in_fence=False))
            arrived = Counter(source[k] for k in seen if k < n_shown and source[k] not in MARKS)
            for width in (80, 40):
                missing = arrived - on_screen(splitter.blocks, width)
                assert not missing, (source[:at], missing)
        splitter.finish()
        assert splitter.blocks == split(source), source


def test_in_two_pieces_however_cut_the_end_is_the_same() -> None:
    for source, _ in CORPUS:
        whole = split(source)
        for at in range(1, len(source)):
            splitter = Splitter()
            splitter.feed(source[:at])
            splitter.feed(source[at:])
            splitter.finish()
            assert splitter.blocks == whole, (source[:at], source[at:])


@WIDTHS
def test_a_copy_of_all_is_the_source(width: int) -> None:
    for source, _ in CORPUS:
        entry, look = opened(source, width), EntryStyle(width, STYLES)
        assert copied_from(entry, None, None, look) == source
        assert copied_from(entry, (0, 0), (entry.height - 1, 0), look) == source, source


@WIDTHS
def test_a_copy_of_whole_lines_is_their_source(width: int) -> None:
    for source, _ in CORPUS:
        entry, look = opened(source, width), EntryStyle(width, STYLES)
        for row in range(entry.height - 1):
            line, after = entry.line(row), entry.line(row + 1)
            if line is None or line.glue is not None or (after is not None and after.glue is not None):
                continue
            text = copied_from(entry, (row, 0), (row, width), look)
            assert not text or f"\n{text}\n" in f"\n{source}\n", (source, text)
            if "|" not in text:
                assert {char for char in text if char.isalnum()} <= set(line.text), (source, text)


@WIDTHS
def test_whatever_is_selected_the_copy_is_a_stretch_of_the_source(width: int) -> None:
    rng = random.Random(width)
    for source, _ in CORPUS:
        entry, look = opened(source, width), EntryStyle(width, STYLES)
        rows = [Laid(entry, part, look).row(row) for part, row in map(entry.place, range(entry.height))]
        for _ in range(4):
            a, b = sorted((rng.randrange(entry.height), rng.randrange(width)) for _ in range(2))
            text = copied_from(entry, a, b, look)
            selected = [shown for row in range(a[0], b[0] + 1) for shown in rows[row]
                        if (row, shown.x) >= a and (row, shown.x) < b]  # fmt: skip
            assert text in source, (source, a, b)
            if selected:
                stretch = source[min(shown.start for shown in selected) : max(shown.end for shown in selected)]
                assert stretch in text, (source, a, b, text)


PIECES = st.sampled_from(
    [
        *("*", "**", "_", "__", "~~", "`", "``", "```", "~~~", "\n", "\n\n", "\n- ", "\n1. ", "\n> ", "\n# "),
        *("\n```py\n", "+", "<!--", "-->", "<div>"),
        *("\n```\n", "\n| a | b |\n|---|---|\n| ", "|", " | ", "[", "](", "](http://x)", ")", "!", "<", "&lt;", "\\"),
        *("\\(", "\\)", "\\[", "\\]", "\\*", "$$", "$", " ", "  ", "    ", "\t", "word", "x", "1", "2.", "。"),
        *("重点", "「"),
        *("」", "é", "👩\u200d🚀", "(", ":", "---", "===", ".", "/", "C:\\", "{", "}", "=", "-"),
        *("</div>", "[x]: y\n", "\\begin{a}", "\\end{a}", "~", "'", '"', "\u3000", "\xa0"),
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_whatever_the_text_no_letter_and_no_digit_is_lost(text: str) -> None:
    written = Counter(char for char in text if char.isalnum())
    for width in (80, 40, 12):
        shown = Counter("".join(line.text for block in split(text) for line in render(block, width, STYLES, GUTTER)))
        assert not written - shown


def test_an_emoji_of_several_code_points_in_code_costs_no_character() -> None:
    lines = [line.text for block in split("```py\n" + "(👩\u200d🚀重)" * 12 + "\n```") for line in lines_of(block, 40)]
    assert "".join("".join(lines).split()) == "py" + "(👩\u200d🚀重)" * 12
