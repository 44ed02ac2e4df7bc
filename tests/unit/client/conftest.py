"""Clients over a fake and the real worker."""

from tests.fakes.clients import client, start_client

__all__ = ["client", "start_client"]
