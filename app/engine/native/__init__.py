"""llama.cpp behind plain classes: the only importer of llama_cpp. What could abort the process is checked here.

`GGML_NO_BACKTRACE` must be set before this package is imported: see `app.engine.__main__`.
"""
