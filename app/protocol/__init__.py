"""The wire between the app and an engine worker: commands, events and their framing."""
