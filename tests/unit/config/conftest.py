import pytest


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    """No test here reads the configuration of the person who runs it."""
    for kind in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"TOKSCOPE_{kind}_DIR", str(tmp_path / kind.lower()))
