"""Starts, supervises and talks to an engine worker; the rest of the app sees only `app.client.engine.Engine`."""
