"""The one dialect: Markdown as a model writes it, where nothing that was written may vanish.

CommonMark with tables and strikethrough, but: line ends and indents stay; numbers are as written; marks are marks only
where a writer means them; entities, reference definitions and most backslashes are text. Built from markdown-it's own
rules and some in their place, so that what is shown can be led back to the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.ruler import RuleOptionsType

MAX_NESTING = 60
"""Lists count twice. What is nested deeper is text."""


def parser() -> MarkdownIt:
    """Returns a new parser of the dialect."""
    from markdown_it import MarkdownIt  # after the first paint: see `warm_up`

    from app.tui.markdown import block_rules, emphasis, inline_rules
    from app.tui.markdown.table_rule import table

    made = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable("strikethrough")
    made.disable(["reference", "entity", "text_join"])
    blocks, inline = made.block.ruler, made.inline.ruler
    starts: RuleOptionsType = {"alt": ["paragraph", "blockquote", "list"]}
    blocks.before("code", "math", block_rules.math, starts)
    blocks.at("table", table, {"alt": ["paragraph"]})
    made.enable("table")
    blocks.at("list", block_rules.list_block, {"alt": ["paragraph", "blockquote"]})
    blocks.at("blockquote", block_rules.blockquote, starts)
    blocks.at("lheading", block_rules.lheading)
    blocks.at("paragraph", block_rules.paragraph)
    inline.at("emphasis", emphasis.run)
    inline.disable("strikethrough")  # its runs are read by the rule for emphasis; what pairs them stays
    for name in ("newline", "escape", "backticks", "link", "image", "autolink"):
        inline.at(name, getattr(inline_rules, name))
    return made
