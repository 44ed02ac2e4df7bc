"""GGUF files: reads their headers, finds and lists them. The engine loads them."""
