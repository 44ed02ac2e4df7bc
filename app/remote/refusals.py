"""A refusal by its HTTP status, in words with the next step. Pure."""

from __future__ import annotations

import json
from typing import cast

from app.domain.text import one_line
from app.remote.chunks import error_text
from app.remote.errors import RemoteError
from app.remote.fields import JsonTable


class StatusError(RemoteError):
    """The server answered with a status of 300 or more.

    Attributes:
        status: the status.
        body: what came with it, cut.
    """

    def __init__(self, message: str, hint: str, status: int, body: str) -> None:
        super().__init__(message, hint)
        self.status = status
        self.body = body


def refusal_of(
    host: str, status: int, body: str, api_key_env: str, wait_s: float | None = None, location: str = ""
) -> StatusError:
    """The error for a status of 300 or more.

    Args:
        host: who refused.
        status: the status.
        body: what came with it.
        api_key_env: the variable of the key that was sent; empty if none was.
        wait_s: seconds that the server asks to wait, if it does.
        location: where a redirect points.
    """
    said = one_line(location) if status < 400 else _said(body)
    what, hint = _words(status, api_key_env, wait_s)
    return StatusError(f"{host} {what} (HTTP {status})" + (f": {said}" if said else ""), hint, status, body)


def _words(status: int, api_key_env: str, wait_s: float | None) -> tuple[str, str]:
    match status:
        case 401 | 403 if api_key_env:
            words = "does not accept the key", f"Set {api_key_env} to another key."
        case 401 | 403:
            words = "wants a key", "Name a variable that holds it: `api_key_env` in models.toml."
        case 404:
            hint = "Check `source` in models.toml: the address of most ends in /v1, the model's name follows `#`."
            words = "does not know this model or address", hint
        case 429:
            wait = f" and asks to wait {wait_s:g} s" if wait_s else ""
            words = f"has had too many requests{wait}", "Send it again later."
        case _ if status < 400:
            words = "sends the request elsewhere", "Use that address in `source`."
        case _:
            hint = "Send it again later." if status == 503 else ""
            words = "refuses the request" if status < 500 else "fails", hint
    return words


def _said(body: str) -> str:
    """What the body of a refusal says, in one line; nothing for a web page."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return "" if body.lstrip().startswith("<") else one_line(body)
    return error_text(cast("JsonTable", value)) if isinstance(value, dict) else one_line(body)
