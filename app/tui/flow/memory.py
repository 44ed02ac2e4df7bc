"""What outlives a session without being configuration or conversation: a few choices, and text that was not sent.

The choices are kept beside the conversations in a small JSON file, the text in `drafts/`. A choice counts only as long
as the setting that it overrode is still the same, so that editing config.toml always wins. A file that cannot be read
or written is no error.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from app.config.paths import ensure_dir
from app.domain.files import read_regular, replace_private
from app.tui.flow.drafts import Drafts


class Choice(Struct, frozen=True):
    """What the user chose, and the configured value that it was chosen over."""

    value: str
    over: str


class _State(Struct, omit_defaults=True):
    choices: dict[str, Choice] = {}


class Memory:
    """Remembered choices by name. `path` None keeps them for this session only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._state = _State()
        self._drafts = Drafts(path.parent / "drafts") if path is not None else None
        if path is not None:
            with suppress(OSError, msgspec.MsgspecError):
                self._state = msgspec.json.decode(read_regular(path), type=_State)

    def recall(self, name: str, configured: str) -> str:
        """Returns the remembered choice, or `configured` when there is none or the configuration has changed."""
        choice = self._state.choices.get(name)
        return choice.value if choice is not None and choice.over == configured else configured

    def remember(self, name: str, value: str, configured: str) -> None:
        """Keeps a choice; on disk too, atomically, if that can be written."""
        self._state.choices[name] = Choice(value, configured)
        self._write()

    def keep_draft(self, text: str) -> None:
        """Keeps what is written and not sent so far, in case this process is killed; from any thread."""
        if self._drafts is not None:
            self._drafts.keep(text)

    def keep_unsent(self, text: str) -> None:
        """Keeps what was written and never sent for the next session: the last word of this one."""
        if self._drafts is not None:
            self._drafts.keep(text, last=True)

    def take_unsent(self) -> str:
        """Returns what sessions that have ended kept, once; never what a running one keeps."""
        return self._drafts.take() if self._drafts is not None else ""

    def _write(self) -> None:
        if self._path is None:
            return
        with suppress(OSError):
            ensure_dir(self._path.parent)
            replace_private(self._path, msgspec.json.encode(self._state))
