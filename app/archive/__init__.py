"""Conversations as files: our JSON, Markdown and HTML, and the exports of other programs. Knows values alone."""
