"""Requests: the model service, prompts, replies, queries and scores."""
