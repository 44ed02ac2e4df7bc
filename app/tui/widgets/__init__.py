"""Widgets: each shows one thing and posts messages up; none names the app or a screen."""
