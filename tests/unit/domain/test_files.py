import os
import socket
import stat

import pytest

from app.domain.files import open_regular, read_regular, replace_private


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY | os.O_CREAT | os.O_APPEND])
def test_a_pipe_in_a_files_place_is_refused_and_never_waited_for(tmp_path, flags):
    os.mkfifo(tmp_path / "config.toml")
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(tmp_path / "config.toml", flags)


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's whole path has 108 bytes at most
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(OSError, match="a socket, not a regular file"):
            read_regular(tmp_path / "socket")


def test_a_device_and_a_folder_are_refused_by_name(tmp_path):
    with pytest.raises(OSError, match="a device, not a regular file"):
        read_regular(tmp_path / "/dev/zero")
    with pytest.raises(OSError, match="a folder, not a regular file"):
        open_regular(tmp_path)


def test_the_null_device_is_an_empty_file(tmp_path):
    (tmp_path / "config.toml").symlink_to(os.devnull)
    assert read_regular(tmp_path / "config.toml") == b""


def test_a_file_is_read_up_to_a_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    assert read_regular(tmp_path / "file") == b"0123456789"
    assert read_regular(tmp_path / "file", 4) == b"0123"
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none")


def test_a_private_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path):
    replace_private(tmp_path / "state", b"old")
    replace_private(tmp_path / "state", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("state", b"new")]
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600


def test_a_private_file_that_cannot_be_replaced_stays(tmp_path):
    (tmp_path / "state").mkdir()
    with pytest.raises(OSError, match="director"):
        replace_private(tmp_path / "state", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
