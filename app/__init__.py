"""tokscope: a terminal chat for local language models, built around the autoregressive loop."""

__version__ = "0.1.0"
