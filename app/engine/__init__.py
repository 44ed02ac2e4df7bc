"""The engine worker: the autoregressive loop in a process of its own, started by name and imported by nobody.

Imports `app.domain` and `app.protocol` only; `app.engine.native` alone imports llama_cpp.
"""
