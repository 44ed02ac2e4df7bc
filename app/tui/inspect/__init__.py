"""What the inspector shows of a token, the sampler and the prompt. Pure: traces in, lines in roles out."""
