"""How the inspector looks: the widgets, and what each shows of the reply, the section and the mode."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from enum import Enum, auto

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from app.domain import units
from app.domain.conversation import ChatSettings
from app.tui.common.safe import Dialog
from app.tui.inspector.inspection import Inspection, Traces, why_empty
from app.tui.inspector.prompt import PromptTokens, prompt_legend, prompt_lines
from app.tui.inspector.sampler import WhatIf, sampler_lines
from app.tui.inspector.token import token_lines
from app.tui.tokens.reply import ReplyTokens
from app.tui.versions.fork import ForkWanted
from app.tui.widgets.bar import Bar, Segment
from app.tui.widgets.entry import LineInput
from app.tui.widgets.line import Line, wrap
from app.tui.widgets.lines import Details

Hint = tuple[str, str]
"""A key and its words."""


class Mode(Enum):
    """What the arrow keys do."""

    LOOK = auto()
    """They move the cursor over the tokens."""
    PICK = auto()
    """They choose an alternative."""
    WHAT_IF = auto()
    """They move the knobs."""


class Section(Enum):
    """What stands below or beside the flow."""

    TOKEN = "Token"
    SAMPLER = "Sampler"
    PROMPT = "Prompt"


def hints(mode: Mode, section: Section, *, n_replies: int) -> list[Hint]:
    """Returns the keys in the order of their use; the last ones may not fit."""
    if mode is Mode.PICK:
        return [("↑ ↓", "alternative"), ("Enter", "fork from it"), ("f", "type text"), ("Esc", "back")]
    if mode is Mode.WHAT_IF:
        return [("← →", "knob"), ("↑ ↓", "change"), ("⌫", "reset"), ("h l", "token"), ("Esc", "back")]
    own = {
        Section.TOKEN: [("Enter", "fork"), ("n", "surprise"), ("t", "tint"), ("/", "find")],
        Section.SAMPLER: [("w", "what if"), ("r", "record"), ("t", "tint")],
        Section.PROMPT: [],
    }[section]
    replies = [("< >", "reply")] if n_replies > 1 else []
    rest = [("y", "copy command"), ("d", "drafts"), ("f", "type")] if section is not Section.PROMPT else []
    return [("←→↑↓", "token"), ("Tab", "section"), *own, *replies, *rest, ("Esc", "close")]


_LOOK_S = 0.2
SECTIONS = list(Section)


def header_of(inspection: Inspection, said: str) -> tuple[list[Segment], list[Segment]]:
    """Returns the left and the right part of the header: which reply this is, and `said` beside its state."""
    place, n_versions = inspection.version
    versions = [f"version {place} of {n_versions}"] if n_versions > 1 else []
    seed = [f"seed {inspection.trace.seed}"] if inspection.tokens and inspection.trace is not None else []
    n_tokens = units.tokens(len(inspection.tokens))
    where = [f"reply {inspection.place + 1} of {len(inspection.replies)}", *versions, n_tokens]
    left = [
        Segment("Inspector", "bold $primary", weight=3),
        *(Segment(text, weight=2) for text in where),
        *(Segment(text, weight=0) for text in seed),
    ]
    return left, [Segment(text, weight=4) for text in (said, "◉ writing" if inspection.live else "") if text]


class InspectorView(Dialog[ForkWanted]):
    """Widgets of the inspector and their content; the keys that change it are in `InspectorScreen`."""

    def __init__(
        self,
        traces: Traces,
        message_id: int | None,
        section: Section = Section.TOKEN,
        token: int | None = None,
        settings: ChatSettings | None = None,
        *,
        can_fork: bool = True,
        can_record: bool = True,
    ) -> None:
        """Takes what it looks at.

        Args:
            traces: the session.
            message_id: the reply to begin with, None for the last one.
            section: the one to begin with.
            token: the one to begin with; None for the first one, or the last one of a reply that is still written.
            settings: of the conversation; None where they are not known.
            can_fork: whether a reply can be forked at a token.
            can_record: whether the sampler's stages of replies to come can be recorded.
        """
        super().__init__()
        self.inspection = Inspection(traces)
        self._message_id = message_id
        self._can_fork = can_fork
        self._can_record = can_record
        self._token = token
        self._settings = settings
        self._section = section
        self._mode = Mode.LOOK
        self._picked: int | None = None
        self._what_if: WhatIf | None = None
        self._picked_at = -1
        self._latest = message_id is None
        self._n_replies = 0
        self._said = ""
        self._query = ""
        self._typing = ""
        self.header = Bar(id="inspect-header", separator=" · ")
        self.flow = ReplyTokens(id="inspect-flow")
        self.prompt = PromptTokens(id="inspect-prompt")
        self.legend = Details(lambda size: [self._legend()], id="inspect-legend")
        self.tabs = Bar(id="inspect-tabs", separator="   ")
        self.details = Details(self._details, id="inspect-details")
        self.line = LineInput(id="inspect-line")
        self.keys = Bar(id="inspect-keys")

    def compose(self) -> ComposeResult:
        """Lays the widgets out; `app.tcss` says where."""
        yield self.header
        with Container(id="inspect-body"):
            with Vertical(id="inspect-tokens"):
                yield self.flow
                yield self.prompt
                yield self.legend
            with Vertical(id="inspect-side"):
                yield self.tabs
                yield self.details
        yield self.line
        yield self.keys

    async def on_mount(self) -> None:
        """Shows the reply; one that is still written is followed."""
        await self.inspection.open(self._message_id)
        self.flow.follow = self.inspection.live and self._token is None
        self.flow.arrows = self._arrow
        self._show_reply(self._token)
        (self.prompt if self._section is Section.PROMPT else self.flow).focus()
        self.set_interval(_LOOK_S, self._look)

    @abstractmethod
    def _arrow(self, x: int, y: int) -> bool: ...

    @property
    def about(self) -> str:
        """The section's command."""
        return "inspect" if self._section is Section.TOKEN else f"inspect_{self._section.name.lower()}"

    # What is shown

    def _show_reply(self, token: int | None = None) -> None:
        trace = self.inspection.trace
        self.flow.show(self.inspection.tokens, token)
        self.prompt.show(trace.prompt if trace is not None else (), trace.n_cached if trace is not None else 0)
        self._redraw()

    async def _look(self) -> None:
        n_replies = len(self.inspection.replies)
        if self._latest and self.inspection.place < n_replies - 1:
            await self.inspection.open(None)
            self.flow.follow = True
            self._show_reply()
        elif self.inspection.look_again():
            self._show_reply()
        elif n_replies != self._n_replies:
            self._redraw()

    def _redraw(self) -> None:
        self._n_replies = len(self.inspection.replies)
        self.header.show(*header_of(self.inspection, self._said))
        self.tabs.show([self._tab(section) for section in Section])
        self.keys.show([Segment(f" {words}", lead=key, weight=key == "Esc") for key, words in self._hints()])
        in_prompt = self._section is Section.PROMPT
        self.flow.display, self.prompt.display = not in_prompt, in_prompt
        self.legend.display = bool(self._legend())
        self.legend.redraw()
        self.details.redraw()

    def _hints(self) -> list[tuple[str, str]]:
        found = hints(self._mode, self._section, n_replies=self._n_replies)
        if not self.inspection.tokens:
            return [hint for hint in found if hint[0] in ("< >", "Esc", "Tab")]
        hidden = (() if self._can_fork else ("Enter", "f")) + (() if self._can_record else ("r",))
        return [hint for hint in found if hint[0] not in hidden]

    def _tab(self, section: Section) -> Segment:
        here = section is self._section
        text = f"▸{section.value}" if here else section.value
        action = f"screen.section('{section.name}')"
        return Segment(text, "bold" if here else "$foreground-muted", action, lead=f"{SECTIONS.index(section) + 1} ")

    def _legend(self) -> Line:
        trace = self.inspection.trace
        legend = prompt_legend(trace) if trace is not None and trace.prompt else ()
        return legend if self._section is Section.PROMPT else self.flow.legend

    def _details(self, size: tuple[int, int]) -> Sequence[Line]:
        trace, token = self.inspection.trace, self.flow.token
        if self._section is Section.PROMPT and trace is not None:
            if trace.prompt:
                return prompt_lines(trace, self.prompt.cursor, size[0])
            return _paragraphs(["The prompt of this reply is not stored."], size)
        if token is None:
            return _paragraphs(why_empty(self.inspection), size)
        at = self.flow.cursor
        if self._section is Section.SAMPLER:
            knobs = self._what_if.line() if self._what_if is not None else ()
            recording = "Stages are recorded from the next reply on; press r to stop."
            hint = recording if self.inspection.records_stages else "Press r to record stages from the next reply on."
            hint = "" if token.stages or not self._can_record else hint
            return sampler_lines(token, self.inspection.chain(at, self._what_if), knobs, hint, size)
        place = (at + 1, self.flow.n_tokens)
        return token_lines(token, place, self.inspection.controls, size, self._picked)

    def _say(self, text: str) -> None:
        """Says something in the header until the next key."""
        self._said = text
        self._redraw()


def _paragraphs(texts: Sequence[str], size: tuple[int, int]) -> list[Line]:
    width, height = size
    lines: list[Line] = []
    for text in texts:
        lines += [*(((line, "text"),) for line in wrap(text, width, 4)), ()]
    return lines[:height]
