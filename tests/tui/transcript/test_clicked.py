from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import split_graphemes
from rich.style import Style

from app.domain.text import safe_text
from app.tui.markdown.blocks import BlockKind
from app.tui.markdown.dialect import MAX_NESTING
from app.tui.markdown.lines import Line
from app.tui.markdown.render import MAX_MARKED
from app.tui.markdown.styles import markdown_styles
from app.tui.transcript.entry import Entry, EntryStyle, Voice, note_block
from app.tui.transcript.selection import character_at

STYLES = markdown_styles(Style(color="#e0e0e0", bgcolor="#101010"), {"primary": "#3366ff"}, "monokai")
NOTHING = "·"
"""Stands for a cell that shows nothing of the source."""


def opened(text: str, width: int = 40) -> Entry:
    entry = Entry(Voice.ASSISTANT, text, 1)
    entry.open(width)
    return entry


def laid(entry: Entry, width: int) -> list[tuple[int, int, Line]]:
    """Every line with its part and its row there."""
    look = EntryStyle(width, STYLES)
    found: list[tuple[int, int, Line]] = []
    for index, part in enumerate(entry.parts):
        entry.lay(index, look)
        found += [(index, row, line) for row, line in enumerate(part.lines or [])]
    return found


def characters(entry: Entry, width: int = 40) -> list[list[tuple[str, int | None]]]:
    """For each line what it shows and where that stands in the source."""
    found: list[list[tuple[str, int | None]]] = []
    for part, row, line in laid(entry, width):
        cell = 0
        shown: list[tuple[str, int | None]] = []
        for start, stop, size in split_graphemes(line.text)[0]:
            shown.append((line.text[start:stop], character_at(entry, part, row, cell, EntryStyle(width, STYLES))))
            cell += size
        found.append(shown)
    return found


def mapped(text: str, width: int = 40) -> list[str]:
    """Each line as shown, but every character replaced by that of the source to which a click on it leads."""
    seen = str.maketrans({"\n": "↵", "\t": "⇥"})
    return [
        "".join(NOTHING if at is None else text[at] for _, at in line).translate(seen).rstrip(NOTHING)
        for line in characters(opened(text, width), width)
    ]


SHAPES = {
    "plain": ("one two", ["··one two"]),
    "wrapped": (
        "some words  that are wrapped more than once",
        ["··some words  that are", "··wrapped more than", "··once"],
    ),
    "line ends": ("one  \n   two\nthree\\\nfour", ["··one", "··   two", "··three", "··four"]),
    "emphasis": ("a **b** *c* ***d*** ~~e~~ __f__ *g", ["··a b c d e f *g"]),
    "emphasis that is none": ("a ** b * c_d_e", ["··a ** b * c_d_e"]),
    "code": ("``a`b`` ` x ` `y\nz` `w", ["··a`b x y", "··z `w"]),
    "entity": ("&lt;b&gt; &amp;amp; &#65;", ["··&lt;b&gt; &amp;amp;", "··&#65;"]),
    "escape": (r"\*a\* \q", ["··*a* \\q"]),
    "link": ("[a **b**](http://x) c", ["··a b·(http://x) c"]),
    "link with a title": ('[a](<x> "t (x)") b', ['··a·(<x> "t (x)") b']),
    "autolink": ("<http://x.y> z", ["··<http://x.y> z"]),
    "image": ("![ab](cd) e", ["··[ab]·(cd) e"]),
    "image without a label": ("![](cd) e", ["··[·····]·(cd) e"]),
    "reference": ("[a] b\n\n[a]: http://x", ["··[a] b", "", "··[a]: http://x"]),
    "html": ("a <b>c</b>\n\n<div>\n x\n</div>", ["··a <b>c</b>", "", "··<div>", "·· x", "··</div>"]),
    "heading": ("## a *b* ##\n\nc d\n===", ["··a b", "", "··c d"]),
    "bullets": ("- a\n- b b\n\n  c\n  * - d", ["··-·a", "··-·b b", "", "····c", "····*·-·d"]),
    "numbers": ("1. a\n1. b\n12) c", ["··1.·a", "··1.·b", "", "··12)·c"]),
    "numbers as written": ("9. a\n9. b\n07) c", ["··9.·a", "··9.·b", "", "··07)·c"]),
    "quote": ("> a\n> > b\nc", ["····a", "", "······b", "······c"]),
    "item with a quote": ("- > a\n  > b", ["··-···a", "······b"]),
    "wide": ("漢字 👩\u200d🚀x e\u0301y", ["··漢字 👩x ey"]),
    "wide and wrapped": ("漢字漢字漢字漢字漢字漢字", ["··漢字漢字漢字漢字漢字", "··漢字"]),
    "tab": ("a\tb", ["··a⇥⇥⇥⇥b"]),
    "rule": ("a\n\n***\n\nb", ["··a", "", "··***", "", "··b"]),
    "fence": ("```py\nif x:\n\ty = 1\n```\nz", ["", "···if x:", "···⇥⇥⇥⇥y = 1", "", "··z"]),
    "long code": ("~~~\nabcdefghijklmnopqrstuvwxyz\n~~~", ["···abcdefghijklmnopqrs", "···tuvwxyz"]),
    "indented code": ("    a\n      b\n\nc", ["···a", "···  b", "", "··c"]),
    "indented fence": ("  ```\n    a\n b\n  ```\nc", ["···  a", "···b", "", "··c"]),
    "fence in an item": ("1. a\n   ```\n   x y\n   ```", ["··1.·a", "······x y"]),
    "empty fences": ("```\n```\n```\n\n```\na", ["", "", "", "", "··a"]),
    "unclosed fence": ("a\n```\nb", ["··a", "", "···b"]),
    "hostile": ("a\u2028b \x1bc", ["··a\u2028\u2028\u2028\u2028\u2028\u2028\u2028\u2028b \x1bc"]),
    "nothing": ("", []),
    "blank lines first": ("\n \n  a", ["··  a"]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_leads_back_to_its_source(shape: str) -> None:
    text, expected = SHAPES[shape]
    assert mapped(text, 24) == expected


TABLE = """\
| name | **what** it is |
|:-:|--:|
| a\\|b | some long words `x` |
|  | only |
x | y
"""


def test_cells_of_a_table_lead_to_their_own_text_even_where_they_are_wrapped() -> None:
    assert [line.text for _, _, line in laid(opened(TABLE, 24), 24)][2:] == [
        "  a|b  │     some long",
        "       │       words x",
        "       │          only",
        "   x   │             y",
    ]
    assert mapped(TABLE, 24) == [
        "··name······what it is",
        "··|:-:|--:|",
        "··a|b········some long",
        "···············words x",
        "··················only",
        "···x·················y",
    ]
    text = "> - | 1 | 1 |\n>   |---|---|\n>   | 1 | 11 |"
    cells = [at for line in characters(opened(text)) for char, at in line if char == "1"]
    assert cells == [text.index("1"), text.index("1", 7), *(text.rindex("| 1 |") + k for k in (2, 6, 7))]


def test_a_table_without_room_for_its_columns() -> None:
    text = "|" + "a|" * 9 + "\n|" + "-|" * 9 + "\n|" + "b|" * 9
    entry = opened(text, 20)
    assert [at for line in characters(entry, 20) for char, at in line if char == "b"] == [
        k for k, char in enumerate(text) if char == "b"
    ]


def test_what_is_not_the_replys_own_leads_nowhere() -> None:
    entry = Entry(Voice.ASSISTANT, "a", 1)
    entry.note = note_block("stopped by you")
    entry.open(40)
    assert [[at for _, at in line] for line in characters(entry)] == [[None, None, 0], [], [None] * 18]
    said = Entry(Voice.USER, "a", 1)
    said.open(40)
    assert [[at for _, at in line] for line in characters(said)] == [[None, None, None]]
    look = EntryStyle(40, STYLES)
    assert [character_at(entry, *place, look) for place in ((0, 0, 3), (0, 5, 2), (9, 0, 2), (0, -1, 2))] == [None] * 4


def test_long_blocks_and_deep_ones() -> None:
    plain = "word " * (MAX_MARKED // 4)
    marked = "**word** " * (MAX_MARKED // 8) + "\nend"
    for text in (plain, marked):
        entry = opened(text, 80)
        assert len(entry.parts) == 1
        part, row, line = laid(entry, 80)[-1]
        at = character_at(entry, part, row, 3, EntryStyle(80, STYLES))
        assert at == len(text.rstrip()) - len(line.text.strip()) + 1
    deep = ">" * (MAX_NESTING + 9) + " x\n" + "".join("  " * depth + "- y\n" for depth in range(20))
    assert_it_leads_back(opened(deep), 40)


def test_a_reply_that_streams_leads_back_at_every_length() -> None:
    text = "# A\n\nsome **bold**\ntext\n\n- one\n- two\n\n```\nx = 1\n\n\ty\n```\n\n|a|b|\n|-|-|\n|c|d|\n\nend"
    entry = Entry(Voice.ASSISTANT, "", 1)
    entry.begin(30)
    for char in text:
        entry.feed(char, 30)
        assert_it_leads_back(entry, 30)
    n_led = assert_it_leads_back(entry, 30)
    entry.finish(None, 30)
    shown = "A", "some bold", "text", "-one", "-two", "x = 1", "    y", "ab", "|-|-|", "cd", "end"
    assert assert_it_leads_back(entry, 30) == n_led == sum(map(len, shown))


def assert_it_leads_back(entry: Entry, width: int) -> int:
    """Every cell with a place shows what stands there; nothing that could be a word has none. Returns how many do."""
    n_led = 0
    for line in characters(entry, width):
        for char, at in line:
            if at is None:
                assert not char[0].isalpha() or entry.parts[0].block.kind is BlockKind.PLAIN, line
                continue
            n_led += 1
            source = entry.source[at]
            assert char[0] in safe_text(source) or (char, source) in SAME, (line, source)
    return n_led


SAME = {(" ", "\n"), (" ", "\t"), *((bullet, marker) for bullet in "•◦▪" for marker in "-+*")}
SAME |= {(rule, mark) for rule in "─┼" for mark in "|-:*_ "}

LINES = st.sampled_from(
    [
        "", "", "", " ", "word", "two words  ", "- item", "- ", "-", " - shifted", "  - nested", "    deep", "* star",
        "+ plus", "1. one", "1. again", "7) seven", "   continued", "      six", "# Head #", "#", "Setext", "===",
        "---", "```", "````", "~~~", "  ```", "``", "> quote", "> - in", ">", "> | q | r |", "> |---|---|", "| a | b |",
        "|---|---|", "| 1 |", "a | b", "--- | :-:", "a\\|b | `c\\|d` |", "<div>", "</div>", "<!--", "-->", "<b>inline",
        "**bold", "*", "`code", "in` code", "\ttab", "- \ttab", "\\", "***", "___", "&amp;", "&copy; x", "\\* y",
        "漢字", "\u2028sep", "\x0c", "~~gone~~ ~~~x~~", "a*b*c_d_ **e f** g__h__", "[x](/u 't') ![y](/v)", "<http://a.b>",
        "\xa0nbsp\xa0", 
        "$$ x", "\\[", "\\(*a*\\)", "q<br>r | `s|t`", "\u3000jp", "   sp", "e\u0301 👩\u200d🚀 ❤\ufe0f",
        "1. - 2. three", "- > | a | b |", "> ```", "> x = 1",
    ]
)  # fmt: skip


LETTERS = [char for char in map(chr, range(0x100, 0x250)) if char.isalpha()]


def distinct(lines: list[str]) -> str:
    """The lines with a letter of its own in place of each, but for those where letters mean something."""
    letters = iter(LETTERS * 9)
    return "\n".join(
        line
        if set(line) & set("&</")
        else "".join(next(letters) if char.isascii() and char.isalpha() else char for char in line)
        for line in lines
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, max_size=12).map(distinct), st.sampled_from([9, 20, 38, 80]))
def test_whatever_the_text_every_cell_leads_back(text: str, width: int) -> None:
    assert_it_leads_back(opened(text, width), width)


@settings(max_examples=40, deadline=None)
@given(st.lists(LINES, max_size=10).map(distinct), st.integers(1, 7))
def test_and_so_it_does_while_the_text_streams(text: str, size: int) -> None:
    entry = Entry(Voice.ASSISTANT, "", 1)
    entry.begin(38)
    for at in range(0, len(text), size):
        entry.feed(text[at : at + size], 38)
        if at % 5 == 0:
            assert_it_leads_back(entry, 38)
