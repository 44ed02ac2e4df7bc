"""Versions of a message: forks, rewrites, and the ways between them."""
