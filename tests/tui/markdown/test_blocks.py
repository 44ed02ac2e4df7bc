from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.tui.markdown.blocks import OPEN_PIECE_LINES, PIECE_LINES, Block, BlockKind, Splitter, last_code, split
from app.tui.markdown.dialect import parser

LINES = st.sampled_from(
    [
        "", "", "", " ", "word", "two words  ", "- item", "- ", "-", " - shifted", "  - nested", "    deep", "* star",
        "+ plus", "1. one", "1. again", "7) seven", "   continued", "      six", "# Head", "#", "Setext", "===", "---",
        "```", "```py", "````", "~~~", "  ```", "``", "> quote", "> - in", ">", "| a | b |", "|---|---|", "| 1 |",
        "a | b", "--- | :-:", "[x]: /url", "$$", "\\[", "\\] x", "ends:", "3. three", "[x][y]", "<div>",
        "</div>", "<!--", "-->", "<b>inline", "**bold", "*", "`code", "\ttab", "\\", "***", "___", "&amp;", "漢字",
        "\u2028sep", "\x0c",
    ]
)  # fmt: skip
TEXTS = st.lists(LINES, max_size=14).map("\n".join)


def streamed(text: str, sizes: list[int]) -> list[Block]:
    splitter = Splitter()
    at = turn = 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        before = list(splitter.blocks)
        first = splitter.feed(text[at : at + size])
        assert splitter.blocks[:first] == before[:first], "a block before `first` changed"
        at, turn = at + size, turn + 1
    before = list(splitter.blocks)
    first = splitter.finish()
    assert splitter.blocks[:first] == before[:first]
    return splitter.blocks


def leaves(text: str) -> list[str]:
    """All that a parser finds to show, in order."""
    kinds = ("inline", "fence", "code_block", "html_block", "math", "hr")
    return [
        t.content.rstrip(" \t\n") for t in parser().parse(text) if t.type in kinds and (t.content or t.type != "inline")
    ]


def leaves_of(blocks: list[Block]) -> list[str]:
    found: list[str] = []
    for block in blocks:
        if block.kind is not BlockKind.CODE:
            found += leaves(block.text)
        elif block.gap:
            found.append(block.text.rstrip(" \t\n"))
        else:
            found[-1] += "\n" + block.text
    return found


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_any_chunking_gives_the_blocks_of_one_go(text: str, sizes: list[int]) -> None:
    assert streamed(text, sizes) == split(text)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_blocks_parsed_alone_show_what_the_whole_text_shows(text: str) -> None:
    assert leaves_of(split(text)) == leaves(text + "\n")


def test_kinds_and_gaps() -> None:
    text = "# Head\npara\nmore\n\n1. a\n1. b\n\n1. c\n- x\n```py\ncode\n```\nend"
    assert split(text) == [
        Block(BlockKind.MARKDOWN, "# Head"),
        Block(BlockKind.MARKDOWN, "para\nmore"),
        Block(BlockKind.MARKDOWN, "1. a"),
        Block(BlockKind.MARKDOWN, "1. b", gap=False),
        Block(BlockKind.MARKDOWN, "1. c"),
        Block(BlockKind.MARKDOWN, "- x"),
        Block(BlockKind.CODE, "code", info="py"),
        Block(BlockKind.MARKDOWN, "end"),
    ]


def test_a_finished_block_is_never_parsed_again() -> None:
    splitter = Splitter()
    splitter.feed("# One\n\ntwo\n\nthree")
    assert splitter.feed(" more") == 2
    assert [block.text for block in splitter.blocks] == ["# One", "two", "three more"]


def test_markers_wait_for_the_rest_of_their_line() -> None:
    splitter = Splitter()
    for text, shown in [
        ("para\n", ["para"]),
        ("-", ["para"]),
        ("-", ["para"]),
        ("-\n\n", ["para\n---"]),
        ("`", ["para\n---"]),
        ("``p", ["para\n---"]),
        ("y\n", ["para\n---", ""]),
        ("x = 1\n``", ["para\n---", "x = 1"]),
        ("`\n| a |", ["para\n---", "x = 1"]),
        (" b |\n", ["para\n---", "x = 1"]),
        ("|---|-", ["para\n---", "x = 1"]),
        ("--|\n", ["para\n---", "x = 1", "| a | b |\n|---|---|"]),
    ]:
        splitter.feed(text)
        assert [block.text for block in splitter.blocks] == shown, text


def test_an_open_fence_is_committed_in_pieces_and_joined_when_it_closes() -> None:
    splitter = Splitter()
    splitter.feed("```\n")
    lines = [f"line {k}" for k in range(PIECE_LINES + 10)]
    for line in lines:
        splitter.feed(line + "\n")
    assert len(splitter.blocks) == (PIECE_LINES + 10) // OPEN_PIECE_LINES + 1
    assert splitter.feed("```\n") == 0
    assert [block.text for block in splitter.blocks] == ["\n".join(lines[:PIECE_LINES]), "\n".join(lines[PIECE_LINES:])]


def test_the_last_code_block_anywhere() -> None:
    assert last_code("```\na\n```\n\n- x\n\n  ```py\n  b\n  ```\n") == "b\n"
    assert last_code("no code") is None
