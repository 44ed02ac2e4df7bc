"""Traces as files: recorded while a reply comes, read back, verified, and made into a page."""
