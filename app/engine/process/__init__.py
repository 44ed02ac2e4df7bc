"""The worker process: commands in, events out, and the work that its threads do."""
