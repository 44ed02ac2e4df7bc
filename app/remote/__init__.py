"""Models that a server runs, over HTTP: the OpenAI chat API as its many servers speak it."""
