"""Makes GGUF files of any llama shape with random weights, so that large models can be measured without one.

`python -m tests.synthetic --shape 1b --quant q4_0 OUT.gguf`; the text that such a model writes means nothing.
"""
