"""Writes the parts of the manual that follow from declarations."""
