"""Grammars that constrain a reply: JSON Schema, regular expressions, Lark and GBNF, enforced by llguidance."""
