"""What every room of the front end may use: commands, keys, themes, services, preferences."""
