"""Keeps conversations in one SQLite file; the only importer of apsw. The rest of the app sees `app.store.store.Store`."""
