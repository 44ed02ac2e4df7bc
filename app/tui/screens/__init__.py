"""Screens and dialogs: they lay widgets out and route; the work is done in `app.tui.flow`."""
