"""Saved KV states of conversations, in a folder of limited size."""
