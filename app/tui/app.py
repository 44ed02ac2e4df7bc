"""The application: themes, the keys that hold everywhere, and what is left on the terminal when something breaks."""

from __future__ import annotations

import os
from time import monotonic
from typing import Any, ClassVar

from textual import events, on
from textual.app import App
from textual.binding import BindingsMap
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.theme import Theme
from textual.widgets import Input, TextArea

from app.domain.text import safe_text
from app.session.closing import close_store, last_words
from app.session.session import Session
from app.session.turn import TurnSettings
from app.store.store import Store
from app.tui.chat.input import InputGate
from app.tui.chat.screen import ChatScreen
from app.tui.common.bindings import bindings_for
from app.tui.common.crash import write_report
from app.tui.common.keymap import Keymap, resolve
from app.tui.common.safe import Dialog, Opened, SafeScreen
from app.tui.common.services import Services
from app.tui.common.theme import VARIABLE_DEFAULTS, ThemeSituation
from app.tui.common.theme_manager import ThemeManager
from app.tui.dialogs.help import Help, user_files
from app.tui.dialogs.manual import ManualPicker
from app.tui.terminal.background import Ahead
from app.tui.terminal.gate import wants_no_color

_TWICE_S = 3.0
"""Two presses of the interrupt key within this time quit; the notice lasts as long."""

_ALONE_S = 3.0
"""Keys that follow one in a dialog wait no longer than this for it, however busy the machine is."""


def _takes_input(screen: Screen[Any]) -> bool:
    return not isinstance(screen, SafeScreen | Dialog) or screen.takes_input


class TokscopeApp(App[int]):
    """Run it with `run_chat`; in a test with `run_test`."""

    TITLE = "tokscope"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    NOTIFICATION_TIMEOUT = 6
    PAUSE_GC_ON_SCROLL: ClassVar[bool] = True
    CLICK_CHAIN_TIME_THRESHOLD: ClassVar[float] = 0.3
    """What one click does waits so long for a second one: no longer than terminals do."""

    def __init__(self, services: Services) -> None:
        # With NO_COLOR Textual only greys, unless it knows before it builds its filters that colours are ANSI.
        no_color = wants_no_color()
        if not no_color:
            os.environ.pop("NO_COLOR", None)  # empty, which Textual takes for set
        super().__init__(ansi_color=True if no_color else None)
        self.animation_level = "none"
        self.HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (40, "-narrow"), (100, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-flat"), (10, "-low"), (18, "-tall")]
        self.services = services
        self._keys = resolve(services.settings.keys, lambda: services.met)
        self._bindings = BindingsMap.merge([bindings_for("app", self._keys)])
        self._themes = ThemeManager(
            self,
            services.load_themes,
            services.memory,
            configured=services.settings.theme,
            asked=services.options.theme,
        )
        self._situation = ThemeSituation(
            no_color=no_color,
            few_colors=self.console.color_system == "standard",
            dark_background=services.dark_background,
        )
        self._notices = [*self._themes.open(), *self._themes.start(self._situation, self._keys.label("theme"))]
        self._interrupted_at = -_TWICE_S
        self._store: Store | None = None
        self.screen_of_chat: ChatScreen | None = None
        self._ahead = Ahead(services.typed)
        at_once = (*self._keys.keys["quit"], *self._keys.keys["interrupt"])
        self.gate = InputGate(
            deliver=self._deliver,
            later=self.call_later,
            passes=lambda key: key in at_once,
            opening=lambda: bool(self.screen_stack) and not _takes_input(self.screen),
        )

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Returns this app's own variables, for themes that leave them out."""
        return dict(VARIABLE_DEFAULTS)

    async def on_mount(self) -> None:
        """Shows the chat, which opens the store."""
        self._store = await self.services.open_store()
        session = Session(
            self.services.engine,
            self._store,
            TurnSettings(
                preset=self.services.preset,
                trace_top_k=self.services.settings.trace_top_k,
                trace_stages=self.services.settings.trace.stages,
                speculate=self.services.settings.speculation == "ngram" or None,
                include_prompt=True,
            ),
            traces=self.services.settings.trace,
        )
        self.screen_of_chat = self.make_chat(session, self._keys, self._themes)
        self.screen_of_chat.gate = self.gate
        await self.push_screen(self.screen_of_chat)
        # After the composer has the focus, which it gets by the same queue.
        self.call_later(self._write_ahead)
        self.theme_changed_signal.subscribe(self, self._restyle)
        for notice in [*self.services.notices, *self._keys.notices, *self._notices]:
            self.announce(notice, "warning")

    def make_chat(self, session: Session, keymap: Keymap, themes: ThemeManager) -> ChatScreen:
        """Makes the screen that the app shows first."""
        return ChatScreen(self, self.services, session, keymap, themes)

    async def on_event(self, event: events.Event) -> None:
        """Keeps what is written before there is a composer, or a dialog that opens; else brings it to its place."""
        if not self._ahead.keep(event) and not self.gate.keep(event):
            await self._deliver(event)

    async def _deliver(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        screen = self.screen
        if isinstance(screen, ChatScreen):
            if not screen.router.route(event):
                await super().on_event(event)
            return
        in_text = isinstance(self.focused, Input | TextArea)
        is_text = isinstance(event, events.Paste) or event.is_printable
        if is_text and not in_text and (field := screen.field if isinstance(screen, Dialog) else None):
            screen.set_focus(field)
        elif isinstance(event, events.Paste) and not in_text:
            if self.screen_of_chat is not None:
                self.screen_of_chat.router.keep_paste(event.text)
            return
        if is_text and isinstance(self.focused, Input | TextArea):
            await super().on_event(event)
        else:
            await self._act_alone(event)

    async def _act_alone(self, event: events.Event) -> None:
        """Delivers a key of a dialog, and keeps what follows until it is done: it may close the dialog."""
        screen, hold = self.screen, self.gate.hold()
        path = [*(self.focused or screen).ancestors_with_self]
        timer = self.set_timer(_ALONE_S, lambda: self.gate.release(hold))

        def go(place: int) -> None:
            # The way that the key takes up to the app, and then the message that its action posts.
            if place == 2 * len(path) or screen is not self.screen:
                timer.stop()
                self.gate.release(hold)
            elif not path[place % len(path)].call_later(go, place + 1):
                go(2 * len(path))

        await super().on_event(event)
        go(0)

    @on(Opened)
    def _opened(self, event: Opened) -> None:
        event.opened.takes_input = True
        self.gate.open()

    async def _write_ahead(self) -> None:
        if self.screen_of_chat is not None:
            # In the background: a store that another program locks must not keep what is typed from the composer.
            self.run_worker(self._take_drafts(self.screen_of_chat))
        for event in self._ahead.take():
            await super().on_event(event)

    async def _take_drafts(self, chat: ChatScreen) -> None:
        if unsent := await chat.drafts.take():
            chat.composer.put_draft(unsent)
            self.announce("Your unsent text is in the composer.")

    def _restyle(self, theme: Theme) -> None:
        if self.screen_of_chat is not None:
            self.screen_of_chat.transcript.restyle(self._themes.code_style(theme.name))

    async def close(self) -> str:
        """Keeps what was not sent, ends the turn, the engine and the store; call it when the app no longer runs.

        Returns what the user must know about what was not saved; empty where everything was.
        """
        lost = ""
        if (screen := self.screen_of_chat) is not None:
            await screen.drafts.end()
            await screen.chat.settle()
            lost = await last_words(screen.chat.session)
            screen.conversations.library.forget_gone()
        if self._store is not None:
            works = screen is not None and screen.chat.session.saving
            await close_store(self._store, self.services.engine, works=works)
        await self.services.engine.close()
        return lost

    def announce(self, text: str, severity: SeverityLevel = "information", timeout_s: float | None = None) -> None:
        """Shows a passing notice; the text may come from anywhere."""
        if self.screen_of_chat is not None:
            self.screen_of_chat.announce(text, severity, timeout_s)
        else:
            self.notify(safe_text(text), severity=severity, timeout=timeout_s, markup=False)

    def leave(self, exit_code: int) -> None:
        """Asks the app to end; may be called from any thread and from a signal handler."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: self.exit(exit_code, return_code=exit_code))

    async def action_quit(self) -> None:
        """Ends the app; what was not sent is kept for the next session."""
        self.exit(0)

    def action_help(self, page: str = "") -> None:
        """Shows the help over whatever is on the screen, and over a view what that view is for; again closes it."""
        screen = self.screen
        if isinstance(screen, Help):
            screen.dismiss()
        elif self.screen_of_chat is not None:
            about = screen.about if isinstance(screen, SafeScreen | Dialog) else ""
            chat = self.screen_of_chat
            chat.open(self._show_help(chat, page or ("views" if about else "keys"), about))

    async def _show_help(self, chat: ChatScreen, page: str, about: str) -> None:
        await chat.watching.recall()
        if not isinstance(self.screen, Help):  # the key was pressed twice before the help was there
            await self.push_screen(Help(self._keys, user_files(), chat.watching.story(), page, about))

    def action_manual(self) -> None:
        """Opens the manual over whatever is on the screen."""
        self.push_screen(ManualPicker())

    async def action_interrupt(self) -> None:
        """Copies the selection; without one stops the reply, and when pressed twice ends the app."""
        if text := self._selection():
            if self.screen_of_chat is not None:
                self.screen_of_chat.reading.copy(text, "selection")
            return
        now = monotonic()
        if now - self._interrupted_at < _TWICE_S:
            await self.action_quit()
            return
        self._interrupted_at = now
        stopped = self.screen_of_chat is not None and self.screen_of_chat.replies.stop_all()
        key = self._keys.label("interrupt")
        self.announce(f"Stopped. {key} again quits." if stopped else f"{key} again quits.", timeout_s=_TWICE_S)

    def _selection(self) -> str:
        focused = self.focused
        if isinstance(focused, Input | TextArea) and focused.selected_text:
            return focused.selected_text
        return self.screen.get_selected_text() or ""

    def _fatal_error(self) -> None:
        # Textual prints every local variable here, which are people's prompts.
        self.bell()
        self._exit_renderables.append(write_report())
        self._close_messages_no_wait()
