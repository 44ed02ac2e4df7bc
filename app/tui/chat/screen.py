"""The screen of the chat: makes its parts, runs the commands on them, and shows the state."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace
from textual import on
from textual.app import App, ComposeResult
from textual.binding import BindingsMap
from textual.containers import Container, Horizontal, Vertical
from textual.notifications import SeverityLevel
from textual.timer import Timer
from textual.widgets import Static

from app.analysis.meter import RunMeter
from app.client.engine import EngineState, stall_of
from app.domain.conversation import Message, n_tokens, prompts
from app.domain.errors import TokscopeError
from app.domain.text import safe_text
from app.protocol.events import ModelReady
from app.session.events import TurnEvent
from app.session.loading import EngineLoader
from app.session.send_queue import Chat
from app.session.session import Session
from app.tui.chat.budget import BudgetWatch, DraftBudget
from app.tui.chat.conversations import Conversations
from app.tui.chat.drafts import DraftKeeper, unsent_text
from app.tui.chat.history import choose_from_history
from app.tui.chat.input import InputGate, InputHold, InputRouter
from app.tui.chat.models import ModelLoads
from app.tui.chat.other_windows import LOOK_S, OtherWindows, StoreWatch
from app.tui.chat.reading import Reading
from app.tui.chat.replies import Replies
from app.tui.chat.settings import SettingsSwitch, choose_theme, reload_themes
from app.tui.chat.state import StateView
from app.tui.chat.turns import TurnRunner
from app.tui.common import frame_rate
from app.tui.common.bindings import bindings_for
from app.tui.common.keymap import Keymap
from app.tui.common.safe import Dialog, Result, SafeScreen
from app.tui.common.services import Services
from app.tui.common.theme_manager import ThemeManager
from app.tui.dialogs.pickers import Palette
from app.tui.inspector.view import Section
from app.tui.panels.column import PanelColumn
from app.tui.panels.pages import PAGES
from app.tui.panels.status import StatusLine
from app.tui.parallel.controller import ParallelReplies
from app.tui.step.control import StepControl
from app.tui.step.dock import StepDock
from app.tui.transcript.widget import Pill, Transcript
from app.tui.versions.edit import Editing
from app.tui.versions.fork import Forking
from app.tui.versions.reply_versions import ReplyVersions
from app.tui.watch.controller import PanelController
from app.tui.widgets.composer import Composer

_IDLE_S = 1.0
_STALL_S = 0.5
"""How often a busy engine is looked at."""
_LOW_ROWS = 5
"""Rows of the composer and the lines below it; notices stay above them."""

Run = Callable[[], Coroutine[object, object, None] | None]


class ChatScreen(SafeScreen):
    """Is the `ChatHost` of its parts.

    Attributes:
        read_only: whether nothing can be written.
        keymap: the commands on offer and their keys.
        gate: keeps the keys that are typed while a dialog opens.
    """

    gate: InputGate

    def __init__(
        self, host: App[int], services: Services, session: Session, keymap: Keymap, themes: ThemeManager
    ) -> None:
        super().__init__()
        self._host = host
        self._bindings = BindingsMap.merge([self._bindings, bindings_for("screen", keymap)])
        self._services = services
        self._session = session
        self.keymap = keymap
        self._themes = themes
        self.read_only = services.recorded is not None
        self._idle_timer: Timer | None = None
        self._stall_timer: Timer | None = None
        self.transcript = Transcript(id="transcript")
        self.composer = Composer("Ask anything", id="composer")
        self.pill = Pill(keymap.action("end"), id="pill")
        self.panels = PanelColumn(id="panels")
        self.status_line = StatusLine(id="status")
        self.meter = RunMeter()
        folder = services.settings.models_dir
        self.loader = EngineLoader(
            services.engine, services.catalogue, Path(folder) if folder else None, self.refresh_state, services.recorded
        )
        self.chat = Chat(session, self.loader, self)
        self.step = StepControl(self.chat, self, self._step_changed)
        self.step_dock = StepDock(self.step, self)
        self.state = StateView(self.chat, self.step, self.loader, keymap)
        self.router = InputRouter(self, self.composer, self.transcript, self.step_dock, self)
        self.budget = BudgetWatch(
            DraftBudget(self.chat, self.loader, self.composer), partial(self.run_worker, group="budget")
        )
        self.drafts = DraftKeeper(session.store, lambda: unsent_text(self.chat.waiting, self.composer.unsent))
        self.settings = SettingsSwitch(session, self.loader, services, self)
        self.loads = ModelLoads(self.chat, self.loader, self.settings, services, self, self.adopt)
        self.replies = Replies(self.chat, self.loads, self.composer, self.drafts, self.step_dock, keymap, self)
        self.conversations = Conversations(self.chat, self.settings, self.loads, self.replies, self)
        self.versions = ReplyVersions(self.chat, self.transcript, self)
        self.forking = Forking(self.chat, self.composer, self.transcript, self)
        self.editing = Editing(self.chat, self.composer, self)
        others = OtherWindows(session, self.transcript, self)
        self.runner = TurnRunner(session, self.transcript, self.meter, self.replies, self.step, others, self)
        self.store = StoreWatch(
            others,
            self.chat,
            self.conversations,
            self.versions,
            self.loads,
            self,
            continue_last=services.options.continue_last,
        )
        self.many = ParallelReplies(self.chat, self.composer, self.transcript, self.runner.pump, services.presets, self)
        self.reading = Reading(host, session, self.transcript, self.forking, self)
        self.watching = PanelController(
            host, session, self.meter, services.memory, self.panels, self.status_line, self.loader
        )
        self.panels.on_open = lambda name: self.open(self.watching.show(name))
        self.commands = self.make_commands()

    def make_commands(self) -> Mapping[str, Run]:
        """Returns what runs each command, by its id; a coroutine opens a dialog."""
        watch, inspect = self.watching.show, self.reading.inspect
        return {
            "stop": self.replies.stop,
            "regenerate": self.replies.regenerate,
            "continue": self.forking.continue_reply,
            "edit": self.editing.edit,
            "restart": self.replies.restart,
            "clear": self.replies.clear,
            "new": lambda: self.run(self.conversations.new()),
            "history": partial(choose_from_history, self.conversations, self),
            "rename": self.conversations.rename,
            "delete": self.conversations.delete,
            "undo_delete": lambda: self.run(self.conversations.undo_delete()),
            "model": self.loads.choose,
            "preset": self.settings.choose_preset,
            "theme": partial(choose_theme, self._host, self._themes, self),
            "reload_themes": partial(reload_themes, self._themes, self),
            "panels": self._toggle_panels,
            "watch": partial(watch, ""),
            **{f"watch_{name}": partial(watch, name) for name in PAGES},
            "choose_panels": self.watching.choose,
            "speculate": self.watching.toggle_speculation,
            "palette": self._run_from_palette,
            **self.reading.commands,
            "inspect": partial(inspect, Section.TOKEN),
            "inspect_sampler": partial(inspect, Section.SAMPLER),
            "inspect_prompt": partial(inspect, Section.PROMPT),
            "record_stages": self.reading.record_stages,
            "step": self.step.toggle,
            "branches": self.many.start,
            "sibling_before": partial(self.versions.walk, -1),
            "sibling_after": partial(self.versions.walk, 1),
            "rewrite": self.forking.rewrite,
            "page_up": partial(self.transcript.action_scroll_pages, -1),
            "page_down": partial(self.transcript.action_scroll_pages, 1),
            "top": self.transcript.action_to_start,
            "end": self.transcript.action_follow,
        }

    def action_command(self, command_id: str) -> None:
        """Runs a command of the chat; nothing happens where the engine cannot do it."""
        work = self.commands[command_id]() if self.keymap.offers(command_id) else None
        if work is not None:
            self.open(work)

    def compose(self) -> ComposeResult:
        """`app.tcss` places the widgets and says when each is shown."""
        yield self.state.header
        with Horizontal(id="body"):
            with Vertical(id="talk"):
                with Container(id="stage"):
                    yield self.state.welcome
                    yield self.transcript
                    yield self.pill
                yield self.step_dock
                yield self.state.stall
                yield self.state.queue
                yield self.composer
            yield self.panels
        yield self.status_line
        yield self.state.keys
        yield Static("tokscope needs 40 × 10", id="too-small", markup=False)

    def on_mount(self) -> None:
        """Shows the first state; the model is loaded after the first paint."""
        shown = self._services.memory.recall("panels", str(self._services.settings.show_panels))
        self.set_class(shown != "True", "-no-panels")
        self._idle_timer = self.set_interval(_IDLE_S, self._look_around)
        self._stall_timer = self.set_interval(_STALL_S, self._look_at_engine)
        self.composer.focus()
        self.transcript.restyle(self._themes.code_style(self._host.theme))
        self.show_branch(self._session.branch)
        self.call_after_refresh(self.begin)

    def begin(self) -> None:
        """Loads the first model, or opens the last conversation with its model."""
        if not self._host.is_headless:
            self.call_later(frame_rate.warm_up)
            self.call_later(frame_rate.freeze_garbage)
        self.set_interval(LOOK_S, lambda: self.run_worker(self.store.look(), group="store"))
        self.run_worker(self.store.begin(), group="store")

    def adopt(self, model: ModelReady) -> None:
        """Takes a model that was loaded."""
        if self.loader.located is not None:
            self._session.settings = replace(self._session.settings, model_name=self.loader.located.name)
        self.watching.can_speculate = self.keymap.offers("speculate")
        self._reset_meter()
        self.runner.pump.shortest_s = frame_rate.flush_interval_s(model, self._services.settings.fps)
        if model.on_cpu and not self._host.is_headless:
            frame_rate.yield_to_engine()
        for notice in model.notices:
            self.announce(notice, "warning")
        self.refresh_panels()

    # The host of the parts

    async def ask(self, dialog: Dialog[Result]) -> Result | None:
        """Shows a dialog; returns its result, None if it was closed without one."""
        # Keys typed after it has closed may be for a dialog that opens next.
        after: list[InputHold] = []
        dialog.leaving = lambda: after.append(self.gate.hold())
        try:
            return await self._host.push_screen_wait(dialog)
        finally:
            for hold in after:
                self._host.call_later(self.gate.release, hold)

    def announce(self, text: str, severity: SeverityLevel = "information", timeout_s: float | None = None) -> None:
        """Shows a passing notice above the composer, or above the candidates of a paused reply."""
        self._place_notices()
        self._host.notify(safe_text(text), severity=severity, timeout=timeout_s, markup=False)

    def _place_notices(self) -> None:
        """Moves the notices above the composer, or above the candidates of a paused reply."""
        lowest = self.step_dock if self.step_dock.display else self.composer
        if lowest.region:
            margin = max(_LOW_ROWS, self.size.height - lowest.region.y)
            for rack in self.query("ToastRack"):
                rack.styles.margin = (0, 0, margin, 0)

    def remark(self, text: str) -> None:
        """Adds a notice of something that went wrong to the transcript."""
        self.transcript.notice(text, failed=True)

    def run(self, work: Coroutine[object, object, None], *, replaces: str = "") -> None:
        """Runs `work` in the background and announces its errors; `replaces`: cancels earlier work of that name."""
        self.run_worker(self._reporting_errors(work), group=replaces or "commands", exclusive=bool(replaces))

    def open(self, work: Coroutine[object, object, None]) -> None:
        """Runs `work` that opens a dialog; keys pressed before the dialog is there wait for it."""
        self.run_worker(self._opening(work, self.gate.hold()), group="commands")

    async def _opening(self, work: Coroutine[object, object, None], hold: InputHold) -> None:
        try:
            await self._reporting_errors(work)
        finally:
            self._host.call_later(self.gate.release, hold)

    async def _reporting_errors(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except TokscopeError as error:
            self.announce(error.full_message, "error")

    def show_branch(self, branch: Sequence[Message], notices: Sequence[str] = ()) -> None:
        """Shows these messages in place of what is there, with notices below them."""
        self.transcript.show(branch)
        for notice in notices:
            self.remark(notice)
        self.composer.set_history(prompts(branch))
        self._reset_meter()
        self.refresh_panels()
        self.refresh_state()
        self.versions.count()

    def refresh_panels(self) -> None:
        """Shows the figures of the reply; cheap if they are the same."""
        self.watching.refresh()

    def refresh_state(self) -> None:
        """Shows the state of the model, the reply and the queue."""
        empty = not self._session.branch and not self.chat.running and self.transcript.is_empty
        self.set_class(empty, "-empty")
        notice = self.state.refresh(writing=self.focused is self.composer, empty=empty)
        if notice and self._host.screen is not self:
            self.announce(notice, "warning")  # the line itself is behind another screen
        if self._idle_timer is not None and self._stall_timer is not None:
            self._idle_timer.pause() if self.chat.running else self._idle_timer.resume()
            self._stall_timer.resume() if self.state.is_busy else self._stall_timer.pause()
        self.budget.look()

    # Turns

    async def follow(self, events: AsyncGenerator[TurnEvent], again: bool) -> None:
        """Shows a turn to its end; `again`: its reply replaces the last one on the screen."""
        try:
            await self.runner.run(events, again)
        finally:
            self.step.ended()
            self.versions.count()

    def queue_changed(self) -> None:
        """Shows and stores what waits to be sent."""
        self.drafts.touch()
        self.refresh_state()

    def _reset_meter(self) -> None:
        self.meter.reset(n_tokens(self._session.branch, self._session.settings.model_name))
        self.run(self.watching.recall())

    def _step_changed(self) -> None:
        if self.router.follow_step():
            self.call_after_refresh(self._place_notices)
        self.refresh_state()
        if self.step.state.paused:
            self.refresh_panels()

    def _toggle_panels(self) -> None:
        hidden = not self.has_class("-no-panels")
        self.set_class(hidden, "-no-panels")
        self._services.memory.remember("panels", str(not hidden), str(self._services.settings.show_panels))
        self.call_after_refresh(self.refresh_panels)

    async def _run_from_palette(self) -> None:
        chosen = await self.ask(Palette(self.keymap))
        if chosen is not None:
            await self.run_action(self.keymap.action(chosen))

    # Events

    @on(Composer.Submitted)
    def _submitted(self, event: Composer.Submitted) -> None:
        self.transcript.action_follow()
        self.chat.submit(event.sent)
        if self._services.engine.state is EngineState.LOST and self.loader.status.error:
            self.loads.again()  # it died while it loaded: a message tries once more

    @on(Composer.Changed, "#composer")
    def _written(self) -> None:
        self.drafts.touch()
        self.budget.typed()

    def on_descendant_focus(self) -> None:
        """Shows the keys of the widget that has the focus now."""
        if self.step.state.shown:
            self.refresh_state()

    @on(Transcript.MarkClicked)
    def _mark_clicked(self) -> None:
        self.action_command("inspect")

    @on(Transcript.TextClicked)
    def _text_clicked(self, event: Transcript.TextClicked) -> None:
        self.open(self.reading.inspect_clicked(event.message_id, event.n_bytes))

    @on(Transcript.FollowChanged)
    def _following(self, event: Transcript.FollowChanged) -> None:
        self.pill.show(event.new_lines, self.keymap.label("end"))

    def _look_at_engine(self) -> None:
        if self.state.stall.display or stall_of(self._services.engine):
            self.refresh_state()

    def _look_around(self) -> None:
        if self._themes.changed():
            reload_themes(self._themes, self)
        self.refresh_state()  # the engine may have been lost while nothing ran
