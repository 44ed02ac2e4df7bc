"""Shows the state of the chat: the lines around the transcript, and the welcome text of an empty chat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from textual.content import Content
from textual.widgets import Static

from app.client.engine import EngineState, stall_of
from app.domain import units
from app.domain.text import one_line, safe_text
from app.protocol.events import ModelReady
from app.session.loading import EngineLoader
from app.session.send_queue import Chat
from app.tui.chat.status import Situation, header_left, header_right, key_hints, loading_word, queue_line, stall_line
from app.tui.common.keymap import Keymap
from app.tui.step.control import StepControl
from app.tui.step.dock import step_hints
from app.tui.widgets.bar import Bar, Segment

_BAR_WIDTH = 32
_KEYS = ("stop", "history", "model", "palette", "help", "quit")


class Welcome(Static):
    """A centred text, shown until the first message."""

    DEFAULT_CSS = """
    Welcome { width: 1fr; height: 1fr; content-align: center middle; text-align: center; padding: 0 2; }
    """

    def __init__(self, keys: Sequence[tuple[str, str]], *, id: str | None = None) -> None:
        """`keys`: pairs of a key and its meaning."""
        super().__init__(id=id, markup=False)
        self._keys = keys

    def show_loading(self, title: str, fraction: float, doing: str) -> None:
        """Shows the progress of a load."""
        done = round(_BAR_WIDTH * min(1.0, max(0.0, fraction)))
        bar = [("━" * done, "$primary"), ("━" * (_BAR_WIDTH - done), "$foreground 20%")]
        percent = (f" {fraction:4.0%}", "$foreground-muted")
        self._show([(f"{doing} {one_line(title, 60)}\n", "$foreground-muted"), *bar, percent])

    def show_ready(self, title: str, lines: Sequence[str]) -> None:
        """Shows the loaded model and facts about it."""
        facts = [(f"\n{one_line(line, 100)}", "$foreground-muted") for line in lines]
        self._show([(one_line(title, 60), "bold $primary"), *facts])

    def show_error(self, reason: str, hint: str) -> None:
        """Shows why no model is loaded, and the next step."""
        parts = [("no model\n", "bold $error"), (safe_text(reason), "$foreground")]
        if hint:
            parts.append((f"\n\n{safe_text(hint)}", "$foreground-muted"))
        self._show(parts)

    def show_starting(self) -> None:
        """Shows that the engine is being started."""
        self._show([("starting the engine", "$foreground-muted")])

    def _show(self, state: Sequence[tuple[str, str]]) -> None:
        width = max((len(key) for key, _ in self._keys), default=0)
        longest = max((len(what) for _, what in self._keys), default=0)
        rows: list[tuple[str, str]] = []
        for key, what in self._keys:
            rows.append((f"\n{key:>{width}}  ", "$accent"))
            rows.append((what.ljust(longest), "$foreground-muted"))
        title = [("t o k s c o p e\n", "bold"), ("one token at a time\n\n", "$foreground-muted")]
        self.update(Content.assemble(*title, *state, "\n", *rows))


def show_state(welcome: Welcome, now: Situation) -> None:
    """Shows the model, the progress of its load, or what to do without one."""
    if now.load.fraction is not None:
        welcome.show_loading(now.load.title, now.load.fraction, loading_word(now.load.fraction))
    elif now.load.error:
        welcome.show_error(now.load.error, now.load.hint)
    elif now.model is not None:
        welcome.show_ready(now.load.title or now.model.title, [facts(now.model)])
    elif now.engine is EngineState.LOST:
        welcome.show_error("The engine was lost.", "The next message starts it again.")
    else:
        welcome.show_starting()


def facts(model: ModelReady) -> str:
    """Returns the context window on one line, between size and device if they are known."""
    if (native := model.native) is None:
        return " · ".join([*([f"context {model.n_ctx}"] if model.n_ctx else []), *model.server])
    where = f"CPU, {native.n_threads} threads" if model.on_cpu else " + ".join(p.device for p in native.placement)
    return f"{units.parameters(native.n_params)} · context {model.n_ctx} · {where}"


def welcome_keys(keymap: Keymap) -> list[tuple[str, str]]:
    """Returns the keys that a new user needs first, each with its hint."""
    hints = {command.id: command.hint for command in keymap.commands}
    return [("Enter", "send"), *((keymap.label(name), hints[name]) for name in _KEYS if keymap.label(name))]


class StateView:
    """Owns the lines and the welcome text; `refresh` brings them up to date."""

    def __init__(self, chat: Chat, step: StepControl, loader: EngineLoader, keymap: Keymap) -> None:
        self._chat = chat
        self._step = step
        self._loader = loader
        self._keymap = keymap
        self.header = Bar(separator=" · ", id="header")
        self.welcome = Welcome(welcome_keys(keymap), id="welcome")
        self.queue = Bar(id="queue")
        self.stall = Bar(id="stall")
        self.keys = Bar(id="keys")
        self.hints: Callable[[bool], list[Segment]] = partial(key_hints, keymap)

    def refresh(self, *, writing: bool, empty: bool) -> str:
        """Shows the state; returns a notice if the engine has just begun to hang.

        `writing`: the composer has the focus; `empty`: the welcome text is shown.
        """
        now = self.now()
        self.header.show(header_left(now, self._keymap), header_right(now, self._keymap))
        hints = step_hints(self._keymap, writing=writing) if now.paused else self.hints(now.running)
        self.keys.show(hints)
        self.queue.show(queue_line(now, self._keymap))
        self.queue.display = bool(now.waiting)
        if empty:
            show_state(self.welcome, now)
        line = stall_line(now.stall, self._keymap, loading=now.loading)
        notice = line[0].text if line and not self.stall.display else ""
        self.stall.show(line)
        self.stall.display = now.stall is not None
        return notice

    def now(self) -> Situation:
        """Returns the state."""
        session, step = self._chat.session, self._step
        return Situation(
            model=session.engine.model,
            engine=session.engine.state,
            load=self._loader.status,
            preset=session.settings.preset.name,
            title=session.conversation.title if session.conversation else "",
            running=self._chat.running,
            saving=session.saving,
            waiting=tuple(each.text for each in self._chat.waiting),
            paused=step.state.shown,
            step_armed=step.armed,
            stall=stall_of(session.engine),
            others_reply=session.others_reply,
            gone=session.gone,
        )

    @property
    def is_busy(self) -> bool:
        """Whether the engine works, or hangs, and has to be looked at often."""
        stalled = self.stall.display or stall_of(self._chat.session.engine) is not None
        return self._chat.running or self._loader.status.fraction is not None or stalled
