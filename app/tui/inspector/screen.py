"""The inspector: the tokens of a reply under a cursor, and what is known of each of them. Keys and clicks only."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Input

from app.tui.inspector.find import SURPRISE, next_surprise, next_text
from app.tui.inspector.reproduce import command_of
from app.tui.inspector.sampler import WhatIf
from app.tui.inspector.token import candidate_at
from app.tui.inspector.view import SECTIONS, InspectorView, Mode, Section
from app.tui.terminal.clipboard import say_who_took
from app.tui.tokens.text import TokenText
from app.tui.versions.fork import ForkWanted
from app.tui.widgets.lines import Details


class InspectorScreen(InspectorView):
    """Result: the fork that is wanted; None when it was closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "turn(1)", show=False, priority=True),
        Binding("shift+tab", "turn(-1)", show=False, priority=True),
        *(Binding(str(n), f"section('{each.name}')", show=False) for n, each in enumerate(SECTIONS, 1)),
        Binding("t", "tint", show=False),
        Binding("d", "ghosts", show=False),
        Binding("n", "surprise", show=False),
        Binding("slash", "find", show=False),
        Binding("less_than_sign,comma", "reply(-1)", show=False),
        Binding("greater_than_sign,full_stop", "reply(1)", show=False),
        Binding("enter", "pick", show=False),
        Binding("f", "type", show=False),
        Binding("w", "what_if", show=False),
        Binding("backspace", "reset", show=False),
        Binding("r", "record", show=False),
        Binding("y", "copy_command", show=False),
        Binding("q,f3", "cancel", show=False),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Returns whether a key does something: none does what the engine cannot do."""
        allowed = {"pick": self._can_fork, "type": self._can_fork, "record": self._can_record}
        return allowed.get(action, True)

    def on_key(self) -> None:
        """Forgets what was said; from the first key on the inspector stays with the reply it shows."""
        self._said = ""
        self._latest = False

    def _arrow(self, x: int, y: int) -> bool:
        """Chooses an alternative or moves a knob, where that is what the arrows do."""
        if self._mode is Mode.PICK and y:
            self._pick((self._picked or 0) + y)
        elif self._mode is Mode.WHAT_IF and self._what_if is not None:
            self._what_if = self._what_if.select(x) if x else self._what_if.turn(-y)
            self._redraw()
        else:
            return False
        return True

    def action_reset(self) -> None:
        """Puts the knobs back to what the reply was sampled with."""
        if self._mode is Mode.WHAT_IF and self.inspection.trace is not None:
            self._what_if = WhatIf(self.inspection.sampling(self.flow.cursor))
            self._redraw()

    def action_cancel(self) -> None:
        """Leaves what is being done, and then the inspector."""
        if self.line.has_class("-shown"):
            self._close_line()
        elif self._mode is not Mode.LOOK:
            self._look_on()
        else:
            self.dismiss(None)

    def action_turn(self, by: int) -> None:
        """Goes to the section beside."""
        if self.focused is not self.line:
            self.action_section(SECTIONS[(SECTIONS.index(self._section) + by) % len(SECTIONS)].name)

    def action_section(self, name: str) -> None:
        """Goes to a section."""
        self._section = Section[name]
        self._look_on()
        (self.prompt if self._section is Section.PROMPT else self.flow).focus()

    def action_tint(self) -> None:
        """Marks the tokens by the next figure."""
        self.flow.tint = self.flow.tint.next
        self._redraw()

    def action_ghosts(self) -> None:
        """Shows or hides rejected drafts."""
        self.flow.ghosts = not self.flow.ghosts
        rejected = any(token.ghosts for token in self.flow.tokens)
        self._say("" if rejected or not self.flow.ghosts else "no draft was rejected")

    def action_surprise(self) -> None:
        """Goes to the next token that was a surprise."""
        found = next_surprise(self.flow.tokens, self.flow.cursor)
        if found is not None:
            self.flow.move_to(found)
        self._say(f"surprise: {SURPRISE}" if found is not None else f"no token with {SURPRISE}")

    async def action_reply(self, by: int) -> None:
        """Goes to the reply before or after."""
        if await self.inspection.step(by):
            self.flow.follow = self.inspection.live
            self._look_on()
            self._show_reply()
        else:
            self._say("no earlier reply" if by < 0 else "no later reply")

    def action_what_if(self) -> None:
        """Lets the arrows move the sampler's parameters."""
        if self.inspection.trace is not None and self.flow.token is not None:
            self.action_section(Section.SAMPLER.name)
            self._mode, self._what_if = Mode.WHAT_IF, WhatIf(self.inspection.sampling(self.flow.cursor))
            self._redraw()

    def action_record(self) -> None:
        """Records the sampler's stages from the next reply on, or no more."""
        self.inspection.toggle_stages()
        recorded = self.inspection.records_stages
        self._say(f"stages: {'recorded from the next reply on' if recorded else 'no longer recorded'}")

    def action_copy_command(self) -> None:
        """Copies the command that writes the reply again."""
        inspection, settings = self.inspection, self._settings
        if inspection.trace is None or inspection.message is None or settings is None:
            return self._say("no command: the trace or settings of the reply are unknown")
        command, reason = command_of(inspection.earlier, inspection.trace, settings)
        if not command:
            return self._say(f"no command: {reason}")
        self.app.copy_to_clipboard(command)  # pyright: ignore[reportUnknownMemberType]  App is generic in its result
        self.run_worker(say_who_took(command, "the command", self._say))

    # Forks

    def action_pick(self) -> None:
        """Chooses among the alternatives; again forks from the one that is chosen."""
        token, message = self.flow.token, self.inspection.message
        if token is None or message is None or self._section is Section.PROMPT:
            return
        if self._mode is Mode.PICK and self._picked is not None:
            chosen = token.top[self._picked]
            if chosen.id == token.id:
                self._say("this is the drawn token")
            else:
                self.dismiss(ForkWanted(message, self.flow.cursor, (chosen.id,)))
        elif token.top:
            self.action_section(Section.TOKEN.name)
            self._mode = Mode.PICK
            self._pick(next((i for i, each in enumerate(token.top) if each.id != token.id), 0))
        else:
            self._say("no alternatives are stored; press f to type text")

    def action_type(self) -> None:
        """Asks for text to go on with in place of this token."""
        if self.flow.token is not None:
            self._open_line("fork", "Text in place of this token, spaces included; Enter forks, Esc closes")

    def action_find(self) -> None:
        """Asks for text to be found."""
        if self.flow.token is not None and self._section is not Section.PROMPT:
            self._open_line("find", f"Find text{f' (empty: {self._query} again)' if self._query else ''}")

    def _pick(self, index: int) -> None:
        token = self.flow.token
        if token is not None:
            self._picked, self._picked_at = min(max(0, index), len(token.top) - 1), self.flow.cursor
            self._redraw()

    def _open_line(self, name: str, placeholder: str) -> None:
        self._typing, self.line.placeholder = name, placeholder
        self.line.add_class("-shown")
        self.line.focus()

    def _close_line(self) -> None:
        self.line.remove_class("-shown")
        self.line.value = ""
        self.flow.focus()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._close_line()
        if (message := self.inspection.message) is None:
            return
        if self._typing == "fork":
            if event.value:
                self.dismiss(ForkWanted(message, self.flow.cursor, text=event.value))
        elif query := event.value or self._query:
            self._query = query
            found = next_text(self.flow.tokens, message.content, query, self.flow.cursor)
            if found is not None:
                self.flow.move_to(found)
            self._say("" if found is not None else "not found")

    @on(TokenText.Moved)
    def _moved(self) -> None:
        # May come after a later key: what that key chose on this token stays.
        if self._mode is Mode.PICK and self.flow.cursor != self._picked_at:
            self._mode, self._picked = Mode.LOOK, None
        self._redraw()

    @on(Details.Clicked)
    def _clicked(self, event: Details.Clicked) -> None:
        token = self.flow.token
        if token is None or self._section is not Section.TOKEN or not self._can_fork:
            return
        found = candidate_at(token, event.at, self.details.content_size, self._picked)
        if found is not None:
            self._mode = Mode.PICK
            self._pick(found)
            if event.chain > 1:
                self.action_pick()

    def _look_on(self) -> None:
        self._mode, self._picked, self._what_if, self._said = Mode.LOOK, None, None, ""
        self._redraw()
