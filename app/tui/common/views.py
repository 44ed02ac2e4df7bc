"""Every view of the program in two sentences that a newcomer understands: the table that the help reads."""

from __future__ import annotations

from dataclasses import dataclass

from app.tui.panels.pages import PAGES


@dataclass(frozen=True)
class View:
    """One view."""

    command: str
    """The id of the command that opens it, as in `app.tui.common.commands`; its key is shown."""
    title: str
    text: str


VIEWS: tuple[View, ...] = (
    View(
        "panels",
        "Panels",
        "The column at the side shows how fast the model reads and writes, what fills its window and what could have "
        "come next. A click on one shows it large; on a narrow screen they are one line.",
    ),
    *(View(f"watch_{name}", panel.title, page.about) for name, (panel, page) in PAGES.items()),
    View(
        "inspect",
        "Inspector",
        "Shows how likely each token of a reply was and what else could have come; a click on any character of a reply "
        "opens it on the token that brought this character. There the arrow keys move a cursor, and t colours and "
        "marks all tokens by probability, entropy, time or origin.",
    ),
    View(
        "inspect_sampler",
        "Sampler",
        "Shows which candidates each stage of the sampler cut, and where the random number fell among those that were "
        "left. What if: the arrow keys move temperature, top-k, top-p and min-p, and you see what would have come.",
    ),
    View(
        "inspect_prompt",
        "Prompt",
        "Shows what was really sent: your messages inside the model's template, token by token. Control tokens stand "
        "out, and those that did not have to be computed again are marked.",
    ),
    View(
        "step",
        "Step mode",
        "Holds the reply before its next token, with the chances laid open. Take the likeliest, choose another, type "
        "your own, ban one, or let it run on.",
    ),
    View(
        "branches",
        "Branches",
        "Writes several replies to the same message at once, with different seeds or presets. Pick the one to go on "
        "with; the others stay beside it.",
    ),
    View(
        "sibling_before",
        "Versions",
        "A reply that was written more than once has versions; this key shows the one before, its neighbour the next. "
        "What you write next goes on from the version on the screen, and nothing of the others is lost.",
    ),
    View(
        "inspect",
        "Forks",
        "Enter on a token of the inspector chooses another one in its place, and f types one; the reply goes on from "
        "there. The old reply stays beside it as another version.",
    ),
    View(
        "rewrite",
        "Rewrite the beginning",
        "Lets you type how the reply begins, and the model goes on from there. The old reply stays as another version.",
    ),
    View(
        "history",
        "History",
        "Lists every conversation that was kept; type to find one by its words. Opening it brings its tokens back too.",
    ),
    View(
        "model",
        "Models",
        "Lists the models of the catalogue and of your own folder, and what is installed. Choosing one loads it "
        "in place of the other; the conversation stays.",
    ),
    View(
        "preset",
        "Presets",
        "A preset says how the next token is drawn and what the model is told first. Choose one for facts, one for "
        "stories, or write your own.",
    ),
)
