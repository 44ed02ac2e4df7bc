"""llama.cpp behind plain classes: the only package that imports llama_cpp. It checks what would abort the process.

`GGML_NO_BACKTRACE` must be set before the import (`app.engine.__main__`).
"""
