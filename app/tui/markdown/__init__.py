"""Markdown as it streams: split into blocks, rendered to terminal lines."""
