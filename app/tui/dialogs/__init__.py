"""Dialogs and the base classes of every screen."""
