"""The live figures of a reply: what they say, how they are laid out, and the widgets that draw them."""
