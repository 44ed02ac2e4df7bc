"""The command line: one file a command, everything heavier than typer imported inside the function that needs it."""
