"""Steering a reply: stepping through it, forking, rewriting, several at once, and the versions that come of it."""
