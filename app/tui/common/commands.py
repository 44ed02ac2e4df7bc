"""Every command of the chat, declared once: the palette, the key bar, the help and `[keys]` come from this table.

Knows no widget: a command names an action of the screen or the app, nothing more. The defaults leave the keys that edit
a line alone (Ctrl+A/E/K/U/W/D/Z/Y and the clipboard's), which is why the preset is on Ctrl+S and not on Ctrl+E.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """Something that the user can ask for."""

    id: str
    """The name used in `[keys]` of the configuration."""
    title: str
    help: str
    keys: str
    """Default keys, separated by commas; empty for a command of the palette only."""
    action: str
    """A Textual action, as in `screen.regenerate`."""
    hint: str = ""
    """Its short name in the key bar; empty to leave it out."""
    letter: str = ""
    """A character that does the same when it is typed alone: the conversation has the focus and nothing is written."""


def action_of(letter: str) -> str:
    """Returns the action of the command that has this letter; empty where none has."""
    return next((command.action for command in COMMANDS if command.letter == letter), "")


COMMANDS: tuple[Command, ...] = (
    Command("stop", "Stop the reply", "Keeps what has been written so far", "escape", "screen.stop", "stop"),
    Command(
        "regenerate",
        "Regenerate",
        "Replies again; the old reply is kept, whole or stopped",
        "ctrl+r",
        "screen.regenerate",
        "again",
    ),
    Command("restart", "Restart the engine", "Ends it and loads the model again", "", "screen.restart"),
    Command("clear", "Clear the composer", "Ctrl+Z brings the text back", "ctrl+l", "screen.clear"),
    Command("new", "New conversation", "The one on the screen stays in the history", "ctrl+n", "screen.new", "new"),
    Command(
        "history", "History", "Find, open, rename or delete a conversation", "ctrl+b,f2", "screen.history", "history"
    ),
    Command("model", "Choose a model", "From the catalogue and your model folder", "ctrl+o", "screen.model", "model"),
    Command("preset", "Choose a preset", "Sampling parameters and system prompt", "ctrl+s", "screen.preset", "preset"),
    Command("theme", "Choose a theme", "Tries them on as you move", "ctrl+t", "screen.theme", "theme"),
    Command("panels", "Show or hide the panels", "Speed, context, next token", "ctrl+g", "screen.panels", "panels"),
    Command("watch", "Watch", "The panel seen last, as large as the screen", "f7", "screen.watch", "watch"),
    Command(
        "watch_speculation", "Watch speculation", "Drafts, and whether they pay", "", "screen.watch('speculation')"
    ),
    Command("watch_latency", "Watch latency", "The time from token to token", "", "screen.watch('latency')"),
    Command("watch_cache", "Watch the KV-cache", "What lies in the context's cells", "", "screen.watch('cells')"),
    Command("watch_ending", "Watch the ending", "Why it stops, or why it does not", "", "screen.watch('ending')"),
    Command("watch_figures", "Watch all figures", "Every plain panel at once", "", "screen.watch('figures')"),
    Command("choose_panels", "Choose the panels", "Show, hide or enlarge each one", "", "screen.choose_panels"),
    Command("speculate", "Speculation on or off", "From the next reply on", "", "screen.speculate"),
    Command("palette", "All commands", "Find any command by its name", "ctrl+p", "screen.palette", "commands"),
    Command("help", "Help", "Keys, files and how to change them", "f1", "app.help", "help"),
    Command("manual", "Manual", "Every topic, with a search", "", "app.manual"),
    Command("how", "How it works", "The loop, with the figures of this reply", "", "app.help('how')"),
    Command("views", "What you see", "Each view in two sentences", "", "app.help('views')"),
    Command("copy_reply", "Copy the last reply", "As the model wrote it, in Markdown", "f5", "screen.copy_reply"),
    Command("copy_code", "Copy the last code block", "Without its fence", "f8", "screen.copy_code"),
    Command(
        "inspect",
        "Inspect",
        "The tokens of a reply, and what else could have come",
        "f3",
        "screen.inspect",
        "inspect",
        letter="i",
    ),
    Command("inspect_sampler", "Inspect the sampler", "Its stages, its draw, what if", "", "screen.inspect('SAMPLER')"),
    Command("inspect_prompt", "Inspect the prompt", "What was really sent, as tokens", "", "screen.inspect('PROMPT')"),
    Command("record_stages", "Record sampler stages", "Or no more; costs time per token", "", "screen.record_stages"),
    Command(
        "step", "Step through the reply", "Holds the loop before each token", "f4", "screen.step", "step", letter="s"
    ),
    Command(
        "branches",
        "Several replies at once",
        "Side by side, in one batch; pick one",
        "f6",
        "screen.branches",
        "branches",
    ),
    Command(
        "sibling_before",
        "Earlier version",
        "Of a reply, or of a message sent in two windows",
        "alt+left",
        "screen.sibling(-1)",
        letter="[",
    ),
    Command(
        "sibling_after",
        "Later version",
        "Of a reply, or of a message sent in two windows",
        "alt+right",
        "screen.sibling(1)",
        letter="]",
    ),
    Command("rewrite", "Rewrite the start of the reply", "And let the model go on from it", "f9", "screen.rewrite"),
    Command("copy_conversation", "Copy the conversation", "As one Markdown document", "", "screen.copy_conversation"),
    Command("page_up", "Scroll up", "One page of the conversation", "pageup", "screen.page_up"),
    Command("page_down", "Scroll down", "One page of the conversation", "pagedown", "screen.page_down"),
    Command("top", "Jump to the beginning", "Of the conversation", "ctrl+home", "screen.top"),
    Command("end", "Jump to the end", "And follow new text again", "ctrl+end", "screen.end"),
    Command("rename", "Rename the conversation", "Gives it another title", "", "screen.rename"),
    Command("delete", "Delete the conversation", "Asks first, and can be undone", "", "screen.delete"),
    Command("undo_delete", "Bring back what was deleted", "The last, in any window", "", "screen.undo_delete"),
    Command("reload_themes", "Reload the themes", "Reads the theme files again", "", "screen.reload_themes"),
    Command(
        "interrupt",
        "Copy, stop or quit",
        "Copies a selection, else stops the reply; twice quits",
        "ctrl+c",
        "app.interrupt",
    ),
    Command("quit", "Quit", "Stops the reply and leaves the chat", "ctrl+q", "app.quit", "quit"),
)
