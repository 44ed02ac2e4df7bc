"""Every command of the chat, declared once: the palette, the key bar, the help and `[keys]` come from this table.

`ChatScreen` runs each by its id. The default keys leave those that edit a line alone (Ctrl+A/E/K/U/W/D/Z/Y and
the clipboard's), which is why the preset is on Ctrl+S and not on Ctrl+E.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from app.tui.panels.pages import PAGES


class Need(Enum):
    """What a command needs beyond the core of an engine. A command whose need is not met is hidden."""

    WRITING = "writing"
    """A conversation that can be continued, stored and left for another; a replay has none."""
    STEERING = "steering"
    """An engine whose decoding the user can influence token by token (`app.client.engine.Steerable`)."""
    INTERNALS = "internals"
    """Reports of the inside of an engine, live or recorded: sampler stages, prompt tokens, drafts, KV cells."""
    RESTART = "restart"
    """An engine that can be started again (`app.client.engine.Restartable`)."""


@dataclass(frozen=True)
class Command:
    """Something that the user can ask for."""

    id: str
    """The name used in `[keys]` of the configuration."""
    title: str
    help: str
    keys: str = ""
    """Default keys, separated by commas; empty for a command of the palette only."""
    hint: str = ""
    """Its short name in the key bar; empty to leave it out."""
    letter: str = ""
    """A key that also runs it while the conversation has the focus and the composer is empty."""
    app_action: str = ""
    """A Textual action of the app, for a command that works on every screen."""
    needs: Need | None = None

    @property
    def action(self) -> str:
        """The Textual action that runs it."""
        return self.app_action or f"screen.command('{self.id}')"


WRITING, STEERING, INTERNALS, RESTART = Need

COMMANDS: tuple[Command, ...] = (
    Command("stop", "Stop the reply", "Keeps what has been written so far", "escape", "stop"),
    Command("regenerate", "Regenerate", "Writes the reply again and keeps the old one", "ctrl+r", "again"),
    Command(
        "continue",
        "Continue the reply",
        "Where it was stopped or hit a limit; keeps the old one",
        "alt+down",
        needs=STEERING,
    ),
    Command("edit", "Edit a message", "Sends it again and keeps the old one", "alt+up", needs=WRITING),
    Command("restart", "Restart the engine", "Ends it and loads the model again", needs=RESTART),
    Command("clear", "Clear the composer", "Ctrl+Z brings the text back", "ctrl+l", needs=WRITING),
    Command("new", "New conversation", "The one on the screen stays in the history", "ctrl+n", "new", needs=WRITING),
    Command("history", "History", "Find, open, rename or delete a conversation", "ctrl+b,f2", "history", needs=WRITING),
    Command("model", "Choose a model", "From the catalogue and your model folder", "ctrl+o", "model", needs=WRITING),
    Command("preset", "Choose a preset", "Sampling parameters and system prompt", "ctrl+s", "preset", needs=WRITING),
    Command("theme", "Choose a theme", "Previews each one as you move", "ctrl+t", "theme"),
    Command("panels", "Show or hide the panels", "Speed, context, next token", "ctrl+g", "panels"),
    Command("watch", "Watch a panel", "Full-screen view of the last panel", "f7", "watch"),
    *(
        Command(f"watch_{name}", f"Watch {page.noun}", panel.help, needs=INTERNALS if page.internal else None)
        for name, (panel, page) in PAGES.items()
    ),
    Command("choose_panels", "Choose the panels", "Show, hide or open each one"),
    Command("speculate", "Speculation on or off", "From the next reply on", needs=STEERING),
    Command("palette", "All commands", "Find any command by its name", "ctrl+p", "commands"),
    Command("help", "Help", "Keys, files and how to change them", "f1", "help", app_action="app.help"),
    Command("how", "How it works", "The token loop, with the figures of this reply", app_action="app.help('how')"),
    Command("views", "What you see", "Each view explained in two sentences", app_action="app.help('views')"),
    Command("manual", "Manual", "Every topic, with a search", app_action="app.manual"),
    Command("copy_reply", "Copy the last reply", "As the model wrote it, in Markdown", "f5"),
    Command("copy_code", "Copy the last code block", "Without its fence", "f8"),
    Command("thinking", "Show or hide the thinking", "Of the clicked reply, or the last one", "alt+t", letter="t"),
    Command("inspect", "Inspect", "The tokens of a reply and their alternatives", "f3", "inspect", letter="i"),
    Command("inspect_sampler", "Inspect the sampler", "Its stages, the draw, and other settings", needs=INTERNALS),
    Command("inspect_prompt", "Inspect the prompt", "The prompt as tokens, as it was sent", needs=INTERNALS),
    Command("record_stages", "Record sampler stages", "On or off; slows each token down", needs=STEERING),
    Command("step", "Step through the reply", "Pauses before each token", "f4", "step", letter="s", needs=STEERING),
    Command(
        "branches", "Several replies at once", "Side by side, in one batch; pick one", "f6", "branches", needs=STEERING
    ),
    Command("sibling_before", "Earlier version", "Of a reply, or of your message", "alt+left", letter="["),
    Command("sibling_after", "Later version", "Of a reply, or of your message", "alt+right", letter="]"),
    Command("rewrite", "Rewrite the start of the reply", "The model continues from your text", "f9", needs=STEERING),
    Command("copy_conversation", "Copy the conversation", "As one Markdown document"),
    Command("page_up", "Scroll up", "One page of the conversation", "pageup"),
    Command("page_down", "Scroll down", "One page of the conversation", "pagedown"),
    Command("top", "Jump to the beginning", "Of the conversation", "ctrl+home"),
    Command("end", "Jump to the end", "And follow new text", "ctrl+end"),
    Command("rename", "Rename the conversation", "Gives it another title", needs=WRITING),
    Command("delete", "Delete the conversation", "Asks first, and can be undone", needs=WRITING),
    Command("undo_delete", "Bring back what was deleted", "The last deletion, in any window", needs=WRITING),
    Command("reload_themes", "Reload the themes", "Reads the theme files again"),
    Command(
        "interrupt",
        "Copy, stop or quit",
        "Copies the selection or stops the reply; twice quits",
        "ctrl+c",
        app_action="app.interrupt",
    ),
    Command("quit", "Quit", "Stops the reply and leaves the chat", "ctrl+q", "quit", app_action="app.quit"),
)
