"""What an earlier run of a batch left: the lines that are answered, and those that failed and are done again.

Results of lines that are done again go to a file beside the output, `OUT.redone`, which takes their place in the output
when the run ends, or when the next one begins. The output is replaced as a whole, so a kill loses no answer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from app.cli.batch.lines import LineId
from app.domain.errors import TokscopeError, UsageError
from app.domain.files import replace_private
from app.domain.text import one_line


class Earlier(msgspec.Struct, frozen=True):
    """What an output file holds already."""

    n_lines: int = 0
    """Complete lines, with an answer or an error."""
    failed: tuple[int, ...] = ()
    """Indexes of those with an error."""

    @property
    def n_answered(self) -> int:
        """Lines with an answer."""
        return self.n_lines - len(self.failed)


def redone_file(output: Path) -> Path:
    """Where results wait that will take the place of errors in `output`."""
    return output.with_name(f"{output.name}.redone")


def read_earlier(output: Path, ids: Sequence[LineId]) -> Earlier:
    """Returns what an earlier run left, puts redone lines in their place and cuts off a line that is not complete.

    `ids` are those of the input, in order; the line of an error may have another id, for its input may be repaired.
    Raises UsageError where the file is no beginning of this batch's output.
    """
    if not output.is_file():  # nothing there, or a pipe or device, which hold nothing to resume
        return Earlier()
    rows, n_bytes = _complete_rows(output)
    failed = [index for index, row in enumerate(rows) if _is_failed(output, row, index, ids)]
    if n_bytes < output.stat().st_size:
        os.truncate(output, n_bytes)
    if put_redone(output):
        rows, _ = _complete_rows(output)
        failed = [index for index in failed if _is_failed(output, rows[index], index, ids)]
    return Earlier(len(rows), tuple(failed))


def put_redone(output: Path) -> bool:
    """Puts what was done again in the place of the errors in `output`; False where nothing was.

    Raises TokscopeError where a file cannot be written; then both stay as they are.
    """
    source = redone_file(output)
    if not source.is_file():
        return False
    rows, _ = _complete_rows(output)
    for row in _complete_rows(source)[0]:
        result = _result(row)
        index = result.get("index") if result else None
        if not isinstance(index, int) or not 0 <= index < len(rows):
            raise _foreign(source)
        if rows[index] != row and "error" not in (_result(rows[index]) or {}):  # the same: a kill came before `unlink`
            raise _foreign(source)
        rows[index] = row
    try:
        replace_private(output.resolve(), b"".join(row + b"\n" for row in rows))
        source.unlink()
    except OSError as error:
        message = f"cannot write the retried lines to {one_line(str(output))}: {error.strerror}"
        raise TokscopeError(
            message, hint=f"they are in {one_line(str(source))}; run the command again to retry"
        ) from error
    return True


def _foreign(source: Path) -> UsageError:
    return UsageError(f"{one_line(str(source))} has no results for this output", hint="move it away")


def _complete_rows(path: Path) -> tuple[list[bytes], int]:
    """The lines that have an end, and how many bytes they take."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {one_line(str(path))}: {error.strerror}") from error
    end = data.rfind(b"\n") + 1
    return data[:end].split(b"\n")[:-1], end


def _is_failed(path: Path, row: bytes, index: int, ids: Sequence[LineId]) -> bool:
    result = _result(row)
    if result is None:
        wrong = "not a result"
    elif index >= len(ids):
        wrong = "the input has fewer lines"
    elif result.get("index") != index or ("error" not in result and result.get("id") != ids[index]):
        wrong = f"index {result.get('index')!r}, id {result.get('id')!r} in place of {index}, {ids[index]!r}"
    else:
        return "error" in result
    raise UsageError(
        f"{one_line(str(path))}:{index + 1}: {wrong}",
        hint="it is not the output of this input; use --overwrite to start over or -o for another file",
    )


def _result(row: bytes) -> dict[str, Any] | None:
    try:
        result: object = msgspec.json.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return cast("dict[str, Any]", result) if isinstance(result, dict) else None
