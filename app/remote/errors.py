"""What goes wrong between the app and a server, in words."""

from __future__ import annotations

from app.domain.errors import TokscopeError


class RemoteError(TokscopeError):
    """A server cannot be reached, refuses a request, or its answer cannot be used."""


class StreamError(RemoteError):
    """A stream that has begun is broken: the text before it is good."""
