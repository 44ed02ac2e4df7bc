"""The worker process: commands in, events out, and its threads."""
