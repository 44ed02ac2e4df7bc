"""The words of the header, the key bar, the queue line and the line of an engine that hangs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.client.engine import EngineState, Stall
from app.domain.text import one_line
from app.protocol.events import ModelReady
from app.session.events import Gone
from app.session.loading import LoadStatus
from app.tui.common.keymap import Keymap
from app.tui.widgets.bar import Segment

_BAR = 12
_MUTED = "$foreground-muted"


@dataclass(frozen=True)
class Situation:
    """Everything that the lines depend on."""

    model: ModelReady | None
    engine: EngineState
    load: LoadStatus
    preset: str
    title: str
    running: bool
    saving: bool
    waiting: Sequence[str]
    paused: bool = False
    """Whether the reply is paused before its next token."""
    step_armed: bool = False
    """Whether the next reply starts paused."""
    stall: Stall | None = None
    others_reply: bool = False
    """Whether another window is writing a reply in this conversation."""
    gone: Gone | None = None
    """What another window did to this conversation."""

    @property
    def loading(self) -> bool:
        """Whether a model is being loaded."""
        return self.load.fraction is not None

    @property
    def no_model(self) -> bool:
        """Whether the user has to choose a model first."""
        if self.loading or self.engine in {EngineState.READY, EngineState.LOST}:
            return False
        return self.engine is EngineState.NO_MODEL or bool(self.load.error and not self.load.cancelled)


def header_left(now: Situation, keymap: Keymap) -> list[Segment]:
    """Returns model, quantization, preset and title; a click on one changes it."""
    name = now.load.title or (now.model.title if now.model else "no model")
    segments = [Segment(one_line(name, 48), "bold $primary", keymap.action("model"), 5)]
    quant = now.model.native.quant if now.model and now.model.native else ""
    if quant and quant not in name:
        segments.append(Segment(one_line(quant, 12), _MUTED, keymap.action("model"), 2))
    segments.append(Segment(one_line(now.preset, 24), "$accent", keymap.action("preset"), 3))
    if now.title:
        segments.append(Segment(one_line(now.title, 60), _MUTED, keymap.action("rename"), 1))
    if now.gone:
        segments.append(Segment(now.gone.value, "$warning", keymap.action("undo_delete"), 4))
    return segments


def header_right(now: Situation, keymap: Keymap) -> list[Segment]:
    """Returns the state as a symbol and a word, and the progress of a load."""
    segments = [] if now.saving else [Segment("not saved", "$warning", "", 6)]
    fraction = now.load.fraction
    if now.stall:
        return [*segments, Segment("▲ no progress" if now.stall.answers else "▲ silent", "bold $warning", "", 9)]
    if fraction is not None:
        done = round(_BAR * fraction)
        return [
            *segments,
            Segment(f"◌ {loading_word(fraction)} {'━' * done}{'╌' * (_BAR - done)} {fraction:4.0%}", "$warning", "", 9),
        ]
    if now.paused:
        return [*segments, Segment("‖ paused", "bold $warning", keymap.action("step"), 9)]
    if now.step_armed:
        segments.append(Segment("step mode", "$warning", keymap.action("step"), 8))
    if now.running:
        return [*segments, Segment("◉ replying", "$accent", keymap.action("stop"), 9)]
    if now.no_model:
        return [*segments, Segment("○ no model", "$warning", keymap.action("model"), 9)]
    word, style = {
        EngineState.READY: ("● ready", "$success"),
        EngineState.LOST: ("✕ engine lost", "$error"),
    }.get(now.engine, ("◌ starting", "$warning"))
    return [*segments, Segment(word, style, "", 9)]


def loading_word(fraction: float) -> str:
    """Returns what a load is doing; once the weights are read, the engine still warms up."""
    return "loading" if fraction < 1 else "warming up"


def key_hints(keymap: Keymap, running: bool) -> list[Segment]:
    """Returns the keys that matter now, in the order of the table."""
    shown = [] if running else [Segment("send", _MUTED, "", 90, "⏎ ")]
    for n, command in enumerate(keymap.commands):
        key = keymap.short(command.id)
        if not command.hint or not key or (running and command.id in {"regenerate"}):
            continue
        if command.id == "stop" and not running:
            continue
        weight = {"stop": 100, "help": 80, "palette": 70, "quit": 60}.get(command.id, 50 - n)
        shown.append(Segment(command.hint, _MUTED, command.action, weight, f"{key} "))
    return shown


def queue_line(now: Situation, keymap: Keymap) -> list[Segment]:
    """Returns the next queued message and why it waits; empty if there is none."""
    if not now.waiting:
        return []
    n = len(now.waiting)
    count = f"{n} queued" if n > 1 else "queued"
    why = "until the model is loaded" if now.load.fraction is not None else ""
    if now.others_reply:
        why = "until the reply in another window has ended"
    if now.engine is EngineState.LOST:
        why = "because the engine was lost"
    if now.no_model:
        why = f"{keymap.label('model')} chooses a model"
    segments = [Segment(f"▸ {count}", "bold $warning", "", 3), Segment(one_line(now.waiting[0], 200), "", "", 1)]
    if why:
        segments.append(Segment(why, _MUTED, "", 2))
    segments.append(Segment("takes it back", _MUTED, keymap.action("stop"), 0, f"{keymap.label('stop')} "))
    return segments


def stall_line(stall: Stall | None, keymap: Keymap, *, loading: bool) -> list[Segment]:
    """Returns how long the engine hangs and what can be done; empty if it does not."""
    if stall is None:
        return []
    what = "without progress" if stall.answers else "silent"
    segments = [
        Segment(f"▲ Engine {what} for {stall.seconds:.0f} s", "bold $warning", "", 3),
        Segment("waiting", _MUTED),
    ]
    choices = [
        ("regenerate", "restarts it", keymap.action("restart"), 2),
        ("model", "other model", keymap.action("model"), 1),
        ("stop", "stops", keymap.action("stop"), 0),
    ]
    for command, does, action, weight in choices[:2] if loading else choices:
        segments.append(Segment(does, _MUTED, action, weight, f"{keymap.short(command)} "))
    return segments


def when_too_long(keymap: Keymap) -> str:
    """Returns what to do about a prompt that does not fit the context window."""
    new = keymap.label("new") or "New conversation"
    return (
        f'{new} starts a new conversation; a preset with context = "drop-oldest-turns" drops the oldest turns. '
        "Shorten a message that does not fit alone."
    )
