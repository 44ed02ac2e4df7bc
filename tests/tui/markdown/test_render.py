from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from app.domain.text import safe_text
from app.tui.markdown import render as rendering
from app.tui.markdown.blocks import Block, BlockKind, split
from app.tui.markdown.fence import is_plain_paragraph
from app.tui.markdown.lines import Line, wrap
from app.tui.markdown.render import render
from app.tui.markdown.styles import markdown_styles

STYLES = markdown_styles(Style(color="#e0e0e0", bgcolor="#101010"), {"primary": "#3366ff"}, "monokai")
GUTTER = (("  ", STYLES.base), ("  ", STYLES.base))
CONTROLS = {*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2028}


def lines_of(text: str, width: int = 40) -> list[Line]:
    return [line for block in split(safe_text(text)) for line in render(block, width, STYLES, GUTTER)]


def shown(text: str, width: int = 40) -> list[str]:
    return [line.text[2:] for line in lines_of(text, width)]


HOSTILE = {
    "escapes": "\x1b]52;c;aa\x07 \x9b31m \u202e **\x1b[2J** `\x00`",
    "entities": "&#27; &#x202e; &#13;&#10; &#x9b; &#12; [a](http://x&#x1b;y 't&#x9c;')",
    "info": "```\x1b[31m&#27;\n&#27;x\n```",
    "markup": "[/] [bold]x[/bold] [@click=app.quit]x[/]",
    "separators": "a\u2028b\x0cc\x85d\n- x\u2028y\x1ez",
    "one word": "a" * 5_000,
    "joiners": "👨‍👩‍👧‍👦" * 300 + "\u200d" * 500 + "x\ufe0f" + "e" + "\u0301" * 300,
    "brackets": "[" * 3_000 + "*" * 3_000 + "`a" * 2_000,
    "nested": "".join("  " * depth + "- x\n" for depth in range(120)),
    "quotes": ">" * 300 + " x\n" * 3,
    "wide table": "|" + "a b c|" * 60 + "\n|" + "-|" * 60 + "\n|" + "cell text|" * 60,
    "ragged table": "| a | b |\n|:-:|--:|\n| 1 |\n| 1 | 2 | 3 |\n|",
    "html": "<script>\nx\n\n</script>\n<div><b>",
    "open fence": "```\nopen\n\n",
    "tabs": "\ta\tb\n- \tx\n```\n\ta\tb\n```",
    "empty": "-\n- \n1.\n#\n>\n```\n```\n| |\n|-|",
    "empty links": "<http://a.b> [](x) [a]() ![](c) ![a](<>)",
    "cjk": "你好世界" * 200 + " and `你好`",
    "long code": "```js\n" + "var a=1;" * 500 + "\n```",
}


@pytest.mark.parametrize("width", [1, 2, 7, 38, 80])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_gives_clean_lines_of_the_width(name: str, width: int) -> None:
    for line in lines_of(HOSTILE[name], width):
        assert sum(cell_len(segment.text) for segment in line.strip) == width
        assert not CONTROLS & set(map(ord, line.strip.text))


def test_what_each_block_looks_like() -> None:
    assert shown("# Head *x*") == ["Head x"]
    assert shown("a **b** `c` ~~d~~\ne  \nf") == ["a b c d", "e", "f"]
    assert shown("[text](http://x.org) <http://y.org> ![alt](z.png 't')", 60) == [
        "text (http://x.org) <http://y.org> [alt] (z.png 't')"
    ]
    assert shown("1. a\n1. b\n   - c\n     > d\n\n7) e") == ["1. a", "1. b", "   ◦ c", "     ▎ d", "7) e"]
    assert shown("- a\n  - b\n\n  - c\n\n  d\n  ```\n  e\n  ```") == ["• a", "  ◦ b", "", "  ◦ c", "", "  d", "   e"]
    assert shown("> a\n>\n> b") == ["▎ a", "▎", "▎ b"]
    assert shown("***", 14) == ["─" * 10]
    assert shown("<b>x</b> &amp; &lt;") == ["<b>x</b> &amp; &lt;"]
    assert shown("```py\nx = 1\n\n\ty\n```") == [" py", " x = 1", "", "     y"]
    assert shown("| a | bb |\n|:-:|--:|\n| ccc | d |") == [" a  │ bb", "────┼───", "ccc │  d"]


def test_a_table_shrinks_and_then_gives_up_its_columns() -> None:
    table = "| name | text |\n|---|--:|\n| a | some long words here |\n"
    assert shown(table, 24) == [
        "name │          text",
        "─────┼──────────────",
        "a    │     some long",
        "     │    words here",
    ]
    assert shown("|" + "a|" * 9 + "\n|" + "-|" * 9 + "\n|" + "b|" * 9, 20)[0].startswith("a │ a │")


def test_wrapped_lines_say_how_to_join_them() -> None:
    lines = lines_of("- some words that wrap and averyverylongwordindeed", 22)
    assert [(line.text, line.skip, line.glue) for line in lines] == [
        ("  • some words that", 2, None),
        ("    wrap and", 4, " "),
        ("    averyverylongwor", 4, " "),
        ("    dindeed", 4, ""),
    ]


GRAPHEMES = st.lists(st.sampled_from([*"ab ,  é漢字", "👩\u200d🚀", "e\u0301", "❤\ufe0f"]), max_size=60).map("".join)


@settings(max_examples=300, deadline=None)
@given(GRAPHEMES, st.integers(2, 12), st.booleans())
def test_wrapping_loses_nothing_and_fits(text: str, width: int, words: bool) -> None:
    pieces = wrap(text, width, words=words)
    joined = "".join(piece.glue * (k > 0) + text[piece.start : piece.end] for k, piece in enumerate(pieces))
    assert joined == text
    assert all(cell_len(text[piece.start : piece.end]) <= width for piece in pieces)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["word", "été", "two  spaces", "x - y", "a. b", "1", "=", "\t", "漢", "it's", "A|B", " ", "#"])
    )
)
def test_the_short_way_for_plain_paragraphs_shows_the_same(words: list[str]) -> None:
    for separator in ("\n", " ", " \n"):
        text = separator.join(words)
        if not is_plain_paragraph(text):
            continue
        block = Block(BlockKind.MARKDOWN, text)
        quick = render(block, 30, STYLES, GUTTER)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rendering, "is_plain_paragraph", lambda _: False)
            assert [line.text for line in render(block, 30, STYLES, GUTTER)] == [line.text for line in quick]
        assert split(text) == [Block(BlockKind.MARKDOWN, text.rstrip(" \t\n"))]
