"""Every command of the chat, declared once: the palette, the key bar, the help and `[keys]` come from this table.

`ChatScreen` has one method for each id. The default keys leave those that edit a line alone (Ctrl+A/E/K/U/W/D/Z/Y and
the clipboard's), which is why the preset is on Ctrl+S and not on Ctrl+E.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.tui.panels.pages import PAGES


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

    @property
    def action(self) -> str:
        """The Textual action that runs it."""
        return self.app_action or f"screen.command('{self.id}')"


def command_of_letter(letter: str) -> Command | None:
    """Returns the command that has this letter."""
    return next((command for command in COMMANDS if command.letter == letter), None)


def action_of(command_id: str) -> str:
    """Returns the Textual action that runs a command. Raises KeyError."""
    return _BY_ID[command_id].action


COMMANDS: tuple[Command, ...] = (
    Command("stop", "Stop the reply", "Keeps what has been written so far", "escape", "stop"),
    Command("regenerate", "Regenerate", "Writes the reply again and keeps the old one", "ctrl+r", "again"),
    Command("restart", "Restart the engine", "Ends it and loads the model again"),
    Command("clear", "Clear the composer", "Ctrl+Z brings the text back", "ctrl+l"),
    Command("new", "New conversation", "The one on the screen stays in the history", "ctrl+n", "new"),
    Command("history", "History", "Find, open, rename or delete a conversation", "ctrl+b,f2", "history"),
    Command("model", "Choose a model", "From the catalogue and your model folder", "ctrl+o", "model"),
    Command("preset", "Choose a preset", "Sampling parameters and system prompt", "ctrl+s", "preset"),
    Command("theme", "Choose a theme", "Previews each one as you move", "ctrl+t", "theme"),
    Command("panels", "Show or hide the panels", "Speed, context, next token", "ctrl+g", "panels"),
    Command("watch", "Watch a panel", "Full-screen view of the last panel", "f7", "watch"),
    *(Command(f"watch_{name}", f"Watch {page.noun}", panel.help) for name, (panel, page) in PAGES.items()),
    Command("choose_panels", "Choose the panels", "Show, hide or open each one"),
    Command("speculate", "Speculation on or off", "From the next reply on"),
    Command("palette", "All commands", "Find any command by its name", "ctrl+p", "commands"),
    Command("help", "Help", "Keys, files and how to change them", "f1", "help", app_action="app.help"),
    Command("how", "How it works", "The token loop, with the figures of this reply", app_action="app.help('how')"),
    Command("views", "What you see", "Each view explained in two sentences", app_action="app.help('views')"),
    Command("manual", "Manual", "Every topic, with a search", app_action="app.manual"),
    Command("copy_reply", "Copy the last reply", "As the model wrote it, in Markdown", "f5"),
    Command("copy_code", "Copy the last code block", "Without its fence", "f8"),
    Command("inspect", "Inspect", "The tokens of a reply and their alternatives", "f3", "inspect", letter="i"),
    Command("inspect_sampler", "Inspect the sampler", "Its stages, the draw, and other settings"),
    Command("inspect_prompt", "Inspect the prompt", "The prompt as tokens, as it was sent"),
    Command("record_stages", "Record sampler stages", "On or off; slows each token down"),
    Command("step", "Step through the reply", "Pauses before each token", "f4", "step", letter="s"),
    Command("branches", "Several replies at once", "Side by side, in one batch; pick one", "f6", "branches"),
    Command(
        "sibling_before", "Earlier version", "Of a reply, or of a message sent in two windows", "alt+left", letter="["
    ),
    Command(
        "sibling_after", "Later version", "Of a reply, or of a message sent in two windows", "alt+right", letter="]"
    ),
    Command("rewrite", "Rewrite the start of the reply", "The model continues from your text", "f9"),
    Command("copy_conversation", "Copy the conversation", "As one Markdown document"),
    Command("page_up", "Scroll up", "One page of the conversation", "pageup"),
    Command("page_down", "Scroll down", "One page of the conversation", "pagedown"),
    Command("top", "Jump to the beginning", "Of the conversation", "ctrl+home"),
    Command("end", "Jump to the end", "And follow new text", "ctrl+end"),
    Command("rename", "Rename the conversation", "Gives it another title"),
    Command("delete", "Delete the conversation", "Asks first, and can be undone"),
    Command("undo_delete", "Bring back what was deleted", "The last deletion, in any window"),
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

_BY_ID = {command.id: command for command in COMMANDS}
