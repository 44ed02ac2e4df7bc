"""The console script: starts the engine early, runs the command, and turns every end into an exit code.

Nothing here is slow to import: `tok --help` must feel instant, and the engine should be loading while typer is.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from app.cli.common import console
from app.cli.common.exit_codes import EXIT_CODES, EndedBySignal, ExitCode, exit_code_of, raise_when_signalled
from app.cli.common.launching import EngineLauncher
from app.domain.errors import TokscopeError
from app.domain.text import safe_text

_NEED_ENGINE = frozenset({"ask", "batch", "inspect", "next", "tokenize", "trace"})
_HELP = frozenset({"-h", "--help"})
_COMPLETING = "_TOK_COMPLETE"
"""Set by the shells' completion scripts."""


def run() -> None:
    """Entry point of `tok`, `tokscope` and `python -m app`."""
    console.open_standard_streams()
    raise_when_signalled()
    code = main(sys.argv[1:])
    console.flush_or_abandon()
    raise SystemExit(code)


def main(argv: Sequence[str], launcher: EngineLauncher | None = None) -> int:
    """Runs one command line and returns its exit code; failures are printed, never raised."""
    arguments = list(argv)
    with launcher or EngineLauncher() as engines:
        try:
            if arguments[:1] and arguments[0] in _NEED_ENGINE and not _HELP.intersection(arguments):
                engines.start_early()
            return _dispatch(arguments, engines)
        except (EndedBySignal, KeyboardInterrupt) as end:
            known = end if isinstance(end, EndedBySignal) else EndedBySignal(signal.SIGINT)
            return _report(arguments, str(known), "", EXIT_CODES[known.number])
        except console.OutputClosedError as closed:
            return ExitCode.HUNG_UP if closed.hung_up else ExitCode.OK
        except TokscopeError as error:
            return _report(arguments, str(error), error.hint, exit_code_of(error))
        except Exception as error:
            if isinstance(error, UnicodeEncodeError) and (text := _not_utf8(arguments)):
                return _report(arguments, f"`{text}` is not UTF-8 text", "", ExitCode.USAGE)
            if os.environ.get("TOKSCOPE_TRACEBACK"):
                raise
            hint = "this is a bug in tokscope; set TOKSCOPE_TRACEBACK=1 to see where"
            return _report(arguments, f"{type(error).__name__}: {error}", hint, ExitCode.FAILED)


def _dispatch(arguments: list[str], engines: EngineLauncher) -> int:
    # The chat, without the tenth of a second that typer takes; a shell that completes gives no arguments either.
    if not arguments and _COMPLETING not in os.environ:
        from app.tui.common.options import ChatOptions
        from app.tui.run import run_chat

        return run_chat(ChatOptions())
    import typer

    from app.cli.tree import command_line

    try:
        result = command_line().main(arguments, prog_name="tok", standalone_mode=False, obj=engines)
    except typer.TyperException as error:
        code = ExitCode.USAGE if error.exit_code == ExitCode.USAGE else ExitCode.FAILED
        context: typer.Context | None = getattr(error, "ctx", None)
        command = context.command_path if context else "tok COMMAND"
        return _report(arguments, error.format_message(), f"see `{command} --help`", code)
    except typer.Abort:
        raise KeyboardInterrupt from None
    return result if isinstance(result, int) else ExitCode.OK


def _not_utf8(arguments: list[str]) -> str:
    # Python hands on bytes that are no UTF-8 as lone surrogates, which a file's name may have and a text may not.
    odd = (argument for argument in arguments if any("\ud800" <= char <= "\udfff" for char in argument))
    return safe_text(next(odd, ""))


def _report(arguments: list[str], message: str, hint: str, code: ExitCode) -> int:
    # Typer may not have got as far as reading `--json`, so the arguments themselves are asked.
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    try:
        if "--json" in options:
            console.print_json(console.error_object(message, hint, code))
        elif "--jsonl" in options:
            console.print_json({"event": "error"} | console.error_object(message, hint, code))
    except (console.OutputClosedError, TokscopeError):
        pass
    console.print_error(message, hint)
    return code
