"""Keeps conversations in one SQLite file; the only importer of apsw. The rest sees `app.store.store.Store`."""
