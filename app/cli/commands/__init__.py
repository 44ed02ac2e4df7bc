"""One small file a command: options and help. What a command does is imported when it runs."""
