"""A recorded run played in the chat, without a model."""
