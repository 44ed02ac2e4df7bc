"""The chat: lays the widgets out, brings the objects that do the work and shows the state of things."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from pathlib import Path

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import BindingsMap
from textual.containers import Container, Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import Worker

from app.analysis.meter import RunMeter
from app.client.engine import EngineState
from app.domain.conversation import Message
from app.protocol.events import ModelReady
from app.session.loading import EngineLoader
from app.session.send_queue import Chat
from app.session.session import Session
from app.tui.chat import status as lines
from app.tui.chat.actions import ChatCommands
from app.tui.chat.budget import BudgetWatch, ask, state_of
from app.tui.chat.choices import Choices
from app.tui.chat.conversations import Conversations
from app.tui.chat.drafts import DraftKeeper
from app.tui.chat.input import InputRouter
from app.tui.chat.inspect_actions import InspectCommands
from app.tui.chat.library import Library, n_tokens, prompts
from app.tui.chat.other_windows import LOOK_S, OtherWindows
from app.tui.chat.settings import ModelLoads, SettingsSwitch
from app.tui.chat.steer_actions import SteerCommands
from app.tui.chat.turns import Listener, TurnRunner
from app.tui.chat.welcome import Welcome, show_state, welcome_keys
from app.tui.common import frame_rate as pace
from app.tui.common.bindings import bindings_for
from app.tui.common.frame_rate import Pump
from app.tui.common.keymap import Keymap
from app.tui.common.services import Services
from app.tui.common.theme_manager import ThemeManager
from app.tui.panels.column import PanelColumn
from app.tui.panels.controller import PanelController, WatchCommands
from app.tui.panels.status import StatusLine
from app.tui.step.control import StepControl
from app.tui.step.dock import StepDock, step_hints
from app.tui.transcript.widget import Pill, Transcript
from app.tui.widgets.bar import Bar
from app.tui.widgets.composer import Composer

_IDLE_S = 1.0
_STALL_S = 0.5
"""How often a busy engine is looked at."""


class ChatScreen(ChatCommands, SteerCommands, WatchCommands, InspectCommands):
    """See the module."""

    def __init__(
        self,
        host: App[int],
        services: Services,
        session: Session,
        keymap: Keymap,
        wardrobe: ThemeManager,
    ) -> None:
        super().__init__()
        self._host = host
        self._bindings = BindingsMap.merge([self._bindings, bindings_for("screen", keymap)])
        self._services = services
        self._session = session
        self._keymap = keymap
        self._wardrobe = wardrobe
        self._models_dir = Path(services.settings.models_dir) if services.settings.models_dir else None
        self._idle_timer: Timer | None = None
        self._stall_timer: Timer | None = None
        self.header = Bar(separator=" · ", id="header")
        self.welcome = Welcome(welcome_keys(keymap), id="welcome")
        self.transcript = Transcript(id="transcript")
        self.queue = Bar(id="queue")
        self.stall_line = Bar(id="stall")
        self.composer = Composer("Ask anything", id="composer")
        self.pill = Pill("screen.end", id="pill")
        self.panels = PanelColumn(id="panels")
        self.status_line = StatusLine(id="status")
        self.key_bar = Bar(id="keys")
        self.meter = RunMeter()
        self.pump = Pump(self.transcript.append, self.refresh_panels, self.meter.screen)
        self.step = StepControl(session, lambda: self.chat.running, self._step_changed)
        self.step_dock = StepDock(self.step, lambda text: self._do(self._force(text)))
        self._router = InputRouter(
            self.composer,
            self.transcript,
            self.step_dock,
            focused=lambda: self.focused,
            focus=self.set_focus,
            run=self._run_later,
            later=self.set_timer,
        )
        runner = TurnRunner(
            self.transcript,
            self.meter,
            self.pump,
            branch=lambda: session.branch,
            when_too_long=lines.when_too_long(keymap),
            listener=Listener(self.refresh_state, self._returned, self.step.paused),
        )
        self.others = OtherWindows(
            session,
            self.transcript,
            show=self._show,
            announce=self.announce,
            warn=lambda text: self.announce(text, "warning"),
            opened=self._store_opened,
            seen=self._others_seen,
        )
        runner.show_change = self.others.take_up
        self.loader = self.make_loader()
        self.chat = Chat(
            session,
            follow=runner.run,
            loaded=lambda: self.loader.ready,
            spawn=self._spawn,
            changed=self._chat_changed,
            announce=lambda text: self.announce(text, "error"),
            over=self._turn_over,
        )
        self.budget = BudgetWatch(
            draft=lambda: self.composer.draft,
            state=lambda: None if self.read_only or not self.is_running else state_of(self.chat, self.loader.ready),
            ask=lambda text: ask(session, text),
            show=lambda reported: (
                self.composer.note(reported.forms, warns=reported.warns) if reported else self.composer.note(())
            ),
            spawn=lambda work: self.run_worker(work, group="budget"),
        )
        self.drafts = DraftKeeper(
            services.memory, lambda: "\n".join(filter(None, [*self.chat.waiting, self.composer.unsent]))
        )
        self.settings = SettingsSwitch(
            session,
            self.loader,
            services,
            load=lambda wanted, *, chosen=False: self.loads.load(wanted, chosen=chosen),
            announce=self.announce,
        )
        self.loads = ModelLoads(
            self.chat,
            self.loader,
            self.settings,
            adopt=self._adopt,
            stopped=self._stopped_for_model,
            remark=self._remark,
            run=lambda work: self.run_worker(self._reporting_errors(work), group="load", exclusive=True),
        )
        library = Library(session.store, session, services.engine.forget)
        self.conversations = Conversations(
            self.chat,
            library,
            self.settings,
            show=self._show,
            give_back=self.give_back,
            ask=self._ask,
            run=self._open,
            announce=self.announce,
        )
        self.choices = Choices(host, self._ask, session, self.loader, wardrobe, self.settings)
        self.make_controllers()
        self.watching = PanelController(
            host, session, self.meter, services.memory, self.panels, self.status_line, self.loader
        )
        self.watching.read_only = self.read_only
        self.panels.on_open = self.action_watch

    def make_loader(self) -> EngineLoader:
        """What finds and loads the models."""
        return EngineLoader(self._services.engine, self._services.catalogue, self._models_dir, self.refresh_state)

    def compose(self) -> ComposeResult:
        """Lays the widgets out; `app.tcss` says where and when each is seen."""
        yield self.header
        with Horizontal(id="body"):
            with Vertical(id="talk"):
                with Container(id="stage"):
                    yield self.welcome
                    yield self.transcript
                    yield self.pill
                yield self.step_dock
                yield self.stall_line
                yield self.queue
                yield self.composer
            yield self.panels
        yield self.status_line
        yield self.key_bar
        yield Static("tokscope needs 40 × 10", id="too-small", markup=False)

    def on_mount(self) -> None:
        """Shows the first state; the model comes after the first paint."""
        shown = self._services.memory.recall("panels", str(self._services.settings.show_panels))
        self.set_class(shown != "True", "-no-panels")
        self._idle_timer = self.set_interval(_IDLE_S, self._look_around)
        self._stall_timer = self.set_interval(_STALL_S, self._look_at_engine)
        self.composer.focus()
        self.restyle(self._wardrobe.code_style(self._host.theme))
        self._show(self._session.branch)
        self.call_after_refresh(self._begin)

    def on_unmount(self) -> None:
        """Asks nothing of an engine that is about to end."""
        self.budget.end()

    # What happens

    def _begin(self) -> None:
        if not self._host.is_headless:
            self.call_later(pace.warm_up)
            self.call_later(pace.freeze_garbage)
        self.set_interval(LOOK_S, self._look_at_store)
        if self._services.options.continue_last:
            self.run_worker(self._begin_with_last(), group="store")
        else:
            self.loads.first()
            self._look_at_store()

    async def _begin_with_last(self) -> None:
        await self._look_and_go_on()
        if not self._continues:
            self.loads.first()

    def _look_at_store(self) -> None:
        self.run_worker(self._look_and_go_on(), group="store")

    async def _look_and_go_on(self) -> None:
        await self.others.look()
        if self.chat.waiting:
            self.chat.advance()  # it may have waited for a reply in another window

    def _others_seen(self) -> None:
        self.conversations.forget_gone()
        self.refresh_state()
        self._count_versions()

    def _adopt(self, model: ModelReady) -> None:
        if self.loader.located is not None:
            self._session.model_name = self.loader.located.name
        self._reset_meter()
        self.pump.shortest_s = pace.flush_interval_s(model, self._services.settings.fps)
        if model.on_cpu and not self._host.is_headless:
            pace.yield_to_engine()
        for notice in model.notices:
            self.announce(notice, "warning")
        self.refresh_panels()

    @on(Composer.Submitted)
    def _submitted(self, event: Composer.Submitted) -> None:
        self.transcript.action_follow()
        self.chat.submit(event.text)
        if self._services.engine.state is EngineState.LOST and self.loader.status.error:
            # It died while it loaded: a message is reason enough to try once more.
            self.loads.again()

    @on(Composer.Changed, "#composer")
    def _written(self) -> None:
        self.drafts.touch()
        self.budget.typed()

    def _chat_changed(self) -> None:
        self.drafts.touch()
        self.refresh_state()

    @property
    def _writing(self) -> bool:
        return self.focused is self.composer and self.composer.display

    def on_descendant_focus(self) -> None:
        """Shows the keys of the widget that has the focus now."""
        if self.step.state.shown:
            self.refresh_state()

    def route(self, event: events.Key | events.Paste) -> bool:
        """Brings what is typed or pasted to its place; True where it must not go on to the focused widget."""
        return self._router.route(event)

    def _run_later(self, action: str) -> None:
        self.call_later(self.run_action, action)

    def keep_paste(self, text: str) -> None:
        """Takes what was pasted into a view that has no text."""
        self.composer.display = True
        self.composer.paste(text)
        self.announce("What you pasted is in the composer.")

    def _remark(self, text: str) -> None:
        self.transcript.notice(text, failed=True)

    def _returned(self, message: Message) -> None:
        self.give_back()  # what waited behind it would be sent without it
        self.composer.put_draft(message.content)
        self.composer.set_history(prompts(self._session.branch))
        self.drafts.keep_now()
        self.refresh_state()

    # Showing

    def _show(self, branch: Sequence[Message], notices: Sequence[str] = ()) -> None:
        self.transcript.show(branch)
        for notice in notices:
            self._remark(notice)
        self.composer.set_history(prompts(branch))
        self._reset_meter()
        self.refresh_panels()
        self.refresh_state()
        self._count_versions()

    def _reset_meter(self) -> None:
        self.meter.reset(n_tokens(self._session.branch, self._session.model_name))
        self._do(self.watching.recall())

    def restyle(self, code_style: str) -> None:
        """Takes up the colours of another theme."""
        self.transcript.code_style = code_style
        self.transcript.restyle()

    @on(Transcript.MarkClicked)
    def _mark_clicked(self) -> None:
        self.action_inspect()

    @on(Transcript.FollowChanged)
    def _following(self, event: Transcript.FollowChanged) -> None:
        self.pill.show(event.new_lines, self._keymap.label("end"))

    def refresh_panels(self) -> None:
        """Shows the meter's figures; costs next to nothing when they are the same."""
        self.watching.refresh()

    def refresh_state(self) -> None:
        """Shows what has changed in header, key bar, queue line and welcome text."""
        now = self._situation()
        self.header.show(lines.header_left(now), lines.header_right(now))
        self.key_bar.show(
            step_hints(self._keymap, writing=self.focused is self.composer)
            if now.paused
            else lines.key_hints(self._keymap, now.running)
        )
        self.queue.show(lines.queue_line(now, self._keymap))
        self.queue.display = bool(now.waiting)
        empty = not self._session.branch and not now.running and self.transcript.is_empty
        self.set_class(empty, "-empty")
        if empty:
            show_state(self.welcome, now)
        if self._idle_timer is not None:
            self._idle_timer.pause() if now.running else self._idle_timer.resume()
        self._show_stall(now)
        self.budget.look()

    def _show_stall(self, now: lines.Situation) -> None:
        loading = now.load.fraction is not None
        if self._stall_timer is not None:
            self._stall_timer.resume() if now.running or loading or now.stall else self._stall_timer.pause()
        line = lines.stall_line(now.stall, self._keymap, loading=loading)
        if line and not self.stall_line.display and self._host.screen is not self:
            self.announce(line[0].text, "warning")  # the line itself is behind another screen
        self.stall_line.show(line)
        self.stall_line.display = now.stall is not None

    def _situation(self) -> lines.Situation:
        engine, session = self._services.engine, self._session
        return lines.Situation(
            model=engine.model,
            engine=engine.state,
            load=self.loader.status,
            preset=session.preset.name,
            title=session.conversation.title if session.conversation else "",
            running=self.chat.running,
            saving=session.saving,
            waiting=tuple(self.chat.waiting),
            paused=self.step.state.shown,
            step_armed=self.step.armed,
            stall=engine.stall,
            others_reply=session.others_reply,
            gone=session.gone,
        )

    # Work in the background

    def _spawn(self, work: Coroutine[object, object, None]) -> Worker[None]:
        return self.run_worker(work, group="turn")

    def _look_at_engine(self) -> None:
        if self.stall_line.display or self._services.engine.stall:
            self.refresh_state()

    def _look_around(self) -> None:
        if self._wardrobe.changed():
            self.action_reload_themes()
        # The engine may have been lost with nobody listening.
        self.refresh_state()
