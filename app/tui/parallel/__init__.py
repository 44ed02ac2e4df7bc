"""Several replies to one message at once, side by side."""
