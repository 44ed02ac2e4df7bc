"""The chat screen and the objects that do its work."""
