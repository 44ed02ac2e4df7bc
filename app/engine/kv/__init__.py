"""Saved KV states: the beginnings of conversations, in a folder of limited size."""
