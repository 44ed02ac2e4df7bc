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
        "The column at the right shows speed, what fills the context window, and the candidates for the next token. "
        "Click a panel to see it large; on a narrow screen the panels are one line.",
    ),
    *(View(f"watch_{name}", panel.title, page.about) for name, (panel, page) in PAGES.items()),
    View(
        "inspect",
        "Inspector",
        "Shows the probability of each token of a reply and the other candidates; a click on a character opens it at "
        "the token of that character. The arrow keys move the cursor, and t tints all tokens by probability, entropy, "
        "time or origin.",
    ),
    View(
        "inspect_sampler",
        "Sampler",
        "Shows which candidates each stage of the sampler cut, and where the random number fell among the rest. What "
        "if: the arrow keys change temperature, top-k, top-p and min-p, and you see what would have been drawn.",
    ),
    View(
        "inspect_prompt",
        "Prompt",
        "Shows the prompt as it was sent: your messages inside the model's template, token by token. Control tokens "
        "stand out, and tokens from the cache are marked.",
    ),
    View(
        "step",
        "Step mode",
        "Pauses the reply before its next token and shows the candidates. Take the drawn token, choose another, type "
        "your own, ban one, or resume.",
    ),
    View(
        "branches",
        "Several replies",
        "Writes several replies to the same message at once, with different seeds or presets. Pick one to "
        "continue with; the others stay as versions.",
    ),
    View(
        "sibling_before",
        "Versions",
        "A message or reply that was written more than once has versions; these keys show the earlier and the later "
        "one. What you write next continues from the version on the screen, and the others are kept.",
    ),
    View(
        "inspect",
        "Forks",
        "In the inspector, Enter on another candidate or f with your own text starts a new version from that token. "
        "The old reply stays as another version.",
    ),
    View(
        "rewrite",
        "Rewrite the start",
        "Lets you edit the start of the reply, and the model continues from it. The old reply stays as another "
        "version.",
    ),
    View(
        "history",
        "History",
        "Lists all stored conversations; type to find one by its words. An opened conversation has its tokens too.",
    ),
    View(
        "model",
        "Models",
        "Lists the models of the catalogue and of your own folder, and which are installed. Choosing one replaces the "
        "loaded model; the conversation stays.",
    ),
    View(
        "preset",
        "Presets",
        "A preset has sampling parameters and a system prompt. Choose one for facts, one for stories, or write your "
        "own in config.toml.",
    ),
)
