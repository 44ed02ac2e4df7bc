"""Grammars that a reply cannot leave: JSON Schemas, regular expressions, Lark and GBNF, by llguidance."""
