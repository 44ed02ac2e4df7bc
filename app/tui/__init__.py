"""The Textual front end: the only importer of textual."""
