"""Tokens as wrapped text, under a cursor and a tint."""
