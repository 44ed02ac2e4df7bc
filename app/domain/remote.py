"""A model that a server runs, and how to reach it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

SOURCE = "openai:"
"""Begins the source of a model that a server runs: `openai:URL#MODEL`."""


class RemoteModel(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model of one server that speaks the OpenAI chat API."""

    url: str = ""
    """Where the API lies, as in `https://host/v1`, without a slash at the end."""
    model: str = ""
    """As the server names it; empty is the only one that it has."""
    api_key_env: Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")] = ""
    """Environment variable that holds the key; empty: the server wants none."""
    timeout_s: Annotated[float, Meta(gt=0.0, le=86400.0)] = 600.0
    """Longest wait for the next byte of an answer, the first one included."""
    headers: dict[str, str] = {}
    """Sent with every request; nothing secret, since they stand in a file."""
    ca_file: str = ""
    """Certificates in PEM that are trusted in place of the usual ones."""
    proxy: str = ""
    """URL of a proxy; empty: that of the environment, and none for this very machine."""

    @property
    def source(self) -> str:
        """The `source` of models.toml: `openai:URL#MODEL`."""
        return f"{SOURCE}{self.url}{'#' if self.model else ''}{self.model}"


def read_source(source: str) -> RemoteModel:
    """Reads `openai:URL#MODEL`. Raises ValueError with what is wrong, a clause without a full stop."""
    url, _, model = source.removeprefix(SOURCE).partition("#")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("`source` must name a server, as in `openai:http://localhost:8080/v1#MODEL`")
    if parts.username is not None or parts.password is not None:
        raise ValueError("`source` must hold no password: name a variable that holds the key in `api_key_env`")
    if parts.query:
        raise ValueError("`source` must hold no `?`: the address of the API ends before it")
    return RemoteModel(url=url.rstrip("/"), model=model)


_SECRETS = ("authorization", "cookie", "key", "token", "secret")


def is_secret_header(name: str) -> bool:
    """Whether a header carries something that belongs in no file."""
    return any(word in name.lower() for word in _SECRETS)
