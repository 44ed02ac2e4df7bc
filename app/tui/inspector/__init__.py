"""The inspector: a reply's tokens, the sampler and the prompt."""
