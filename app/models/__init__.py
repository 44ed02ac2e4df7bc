"""GGUF files: reads their headers, finds and lists them. Loads none: that is the engine's work."""
