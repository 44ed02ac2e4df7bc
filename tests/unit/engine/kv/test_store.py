"""States in files: found by their tokens, whole or not at all, limited in size, deleted where they do not fit."""

from __future__ import annotations

import errno
import fcntl
import os
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.kv import file as kvfile
from app.engine.kv.file import remove_states
from app.engine.kv.store import KvStore, state_key

KEY, OTHER = b"k" * 32, b"o" * 32


def store(folder: Path, key: bytes = KEY, max_bytes: int = 1 << 20) -> KvStore:
    return KvStore(folder, key, max_bytes)


def state(n: int = 1000, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, n, np.uint8)


def fill(folder: Path, *saved: tuple[list[int], np.ndarray], **options: object) -> None:
    made = store(folder, **options)  # type: ignore[arg-type]
    for tokens, cells in saved:
        made.save(tokens, cells)
    made.close(10)


def any_part(n_common: int, n_saved: int) -> bool:
    return n_common <= n_saved


def whole(n_common: int, n_saved: int) -> bool:
    return n_common == n_saved


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_what_is_saved_comes_back_in_another_life(tmp_path: Path) -> None:
    fill(tmp_path / "kv", ([1, 2, 3, 4], state()))
    again = store(tmp_path / "kv")
    found = again.find([1, 2, 3, 9, 9], 3, usable=any_part)
    assert found is not None
    assert found.tokens == [1, 2, 3, 4]
    loaded = found.load()
    assert loaded is not None
    assert np.array_equal(loaded, state())
    assert again.take_notices() == []
    (file,) = files(tmp_path / "kv")
    assert (file.stat().st_mode & 0o777, (tmp_path / "kv").stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_state_that_was_written_is_not_kept_in_memory(tmp_path: Path) -> None:
    made, cells = store(tmp_path / "kv"), state()
    gone = weakref.ref(cells)
    made.save([1, 2, 3], cells)
    del cells
    end = time.monotonic() + 20
    while gone() is not None:
        assert time.monotonic() < end, "the writer holds the last state while it waits for the next one"
        time.sleep(0.001)
    made.close(10)


def test_the_longest_prefix_wins_and_short_ones_do_not_count(tmp_path: Path) -> None:
    fill(tmp_path, ([1, 2, 7], state()), ([1, 2, 3, 7], state()))
    made = store(tmp_path)
    found = made.find([1, 2, 3, 4], 2, usable=any_part)
    assert found is not None
    assert found.tokens == [1, 2, 3, 7]
    assert made.find([1, 2, 3, 4], 4, usable=any_part) is None
    assert made.find([8, 9], 1, usable=any_part) is None


def test_a_model_that_cannot_cut_gets_only_whole_prefixes(tmp_path: Path) -> None:
    fill(tmp_path, ([1, 2, 3], state()))
    made = store(tmp_path)
    assert made.find([1, 2, 9, 9], 1, usable=whole) is None
    assert made.find([1, 2, 3], 1, usable=whole) is None  # one token has to be left to compute
    assert made.find([1, 2, 3, 4], 1, usable=whole) is not None


def test_a_long_state_is_not_read_for_a_small_part_of_it(tmp_path: Path) -> None:
    fill(tmp_path, (list(range(100)), state()))
    assert store(tmp_path).find([*range(24), 999], 1, usable=any_part) is None
    assert store(tmp_path).find([*range(25), 999], 1, usable=any_part) is not None


def test_a_state_takes_the_place_of_those_that_it_continues(tmp_path: Path) -> None:
    fill(tmp_path, ([1, 2], state()), ([1, 2, 3], state()), ([1, 9], state()))
    assert len(files(tmp_path)) == 2
    fill(tmp_path, ([1, 2], state()))
    assert len(files(tmp_path)) == 2


def test_another_models_states_are_not_offered_and_not_touched(tmp_path: Path) -> None:
    fill(tmp_path, ([1, 2, 3], state()), key=OTHER)
    assert store(tmp_path).find([1, 2, 3], 1, usable=any_part) is None
    assert len(files(tmp_path)) == 1


def test_the_one_used_longest_ago_goes_first(tmp_path: Path) -> None:
    fill(tmp_path, ([1], state(400)), ([2], state(400)))
    for name, age_s in ((1, 100), (2, 50)):
        found = store(tmp_path).find([name], 1, usable=any_part)
        assert found is not None
        when = found._file.path.stat().st_mtime - age_s
        os.utime(found._file.path, (when, when))
    first = store(tmp_path)
    found = first.find([1], 1, usable=any_part)
    assert found is not None
    found.load()  # used now: the other one is the oldest
    fill(tmp_path, ([3], state(400)), max_bytes=1100)
    made = store(tmp_path)
    assert [made.find([n], 1, usable=any_part) is not None for n in (1, 2, 3)] == [True, False, True]


def test_a_state_beyond_the_limit_is_not_written(tmp_path: Path) -> None:
    fill(tmp_path / "kv", ([1], state(2000)), max_bytes=1000)
    assert not (tmp_path / "kv").exists()


def test_a_file_that_is_gone_is_no_news(tmp_path: Path) -> None:
    fill(tmp_path, ([1, 2], state()))
    made = store(tmp_path)
    found = made.find([1, 2], 1, usable=any_part)
    assert found is not None
    found._file.path.unlink()
    assert found.load() is None
    assert made.take_notices() == []
    assert made.find([1, 2], 1, usable=any_part) is None


def test_what_did_not_fit_is_deleted_and_reported_once(tmp_path: Path) -> None:
    fill(tmp_path, ([1, 2], state()))
    made = store(tmp_path)
    found = made.find([1, 2], 1, usable=any_part)
    assert found is not None
    found.reject()
    assert files(tmp_path) == []
    assert len(made.take_notices()) == 1
    assert made.take_notices() == []


@given(at=st.integers(0, 1_000_000), mask=st.integers(1, 255))
def test_any_flipped_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, at: int, mask: int) -> None:
    folder = tmp_path_factory.mktemp("kv")
    fill(folder, ([1, 2, 3], state(64)))
    (file,) = files(folder)
    data = bytearray(file.read_bytes())
    data[at % len(data)] ^= mask
    file.write_bytes(data)
    made = store(folder)
    found = made.find([1, 2, 3], 1, usable=any_part)
    assert found is None or found.load() is None
    assert len(made.take_notices()) == 1
    assert files(folder) == []


@pytest.mark.parametrize("n_bytes", [0, 3, 60, 80, 100])
def test_a_file_cut_short_is_noticed(tmp_path: Path, n_bytes: int) -> None:
    fill(tmp_path, ([1, 2, 3], state(64)))
    (file,) = files(tmp_path)
    os.truncate(file, n_bytes)
    made = store(tmp_path)
    assert made.find([1, 2, 3], 1, usable=any_part) is None
    assert "cut short" in made.take_notices()[0]
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_used_saves_nothing_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "kv").write_text("a file")
    made = store(tmp_path / "kv")
    made.save([1], state())
    made.save([2], state())
    made.close(10)
    assert made.find([1], 1, usable=any_part) is None
    (notice,) = made.take_notices()
    assert notice.startswith("this conversation's state cannot be saved (")


def test_a_full_disk_is_reported_and_reported_again_after_it_had_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [True, True, False, True]
    whole = kvfile.write

    def write(*given: object) -> kvfile.StateFile:
        if full.pop(0):
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(kvfile, "write", write)
    made = store(tmp_path)
    for token in range(4):
        made.save([token], state())
    made.close(10)
    reported = "this conversation's state cannot be saved (No space left on device): it is computed again next time"
    assert made.take_notices() == [reported, reported]
    assert len(files(tmp_path)) == 1


def test_what_a_dead_writer_left_is_deleted_at_the_start_and_what_is_being_written_counts(tmp_path: Path) -> None:
    (tmp_path / "0123-dead.kv.1.tmp").write_bytes(bytes(500))
    living = tmp_path / "0123-living.kv.1.tmp"
    with living.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(bytes(600))
        stream.flush()
        made = store(tmp_path, max_bytes=1300)
        assert files(tmp_path) == [living]
        for token in (1, 2):
            made.save([token], state(400))
        made.close(10)
    assert len(files(tmp_path)) == 2, "the limit has room for one state beside it"


@pytest.mark.parametrize("place", ["before it is locked", "before it has its name"])
def test_another_store_that_starts_leaves_a_file_that_is_being_written_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    module, name = (fcntl, "flock") if place == "before it is locked" else (os, "replace")
    called, starts = getattr(module, name), [OTHER]

    def late(*given: object) -> None:
        if starts:
            store(tmp_path, starts.pop())
        called(*given)

    monkeypatch.setattr(module, name, late)
    made = store(tmp_path)
    made.save([1, 2], state())
    made.close(10)
    assert not starts
    assert made.take_notices() == []
    assert [path.suffix for path in files(tmp_path)] == [".kv"]


def test_no_time_leaves_nothing_behind(tmp_path: Path) -> None:
    made = store(tmp_path)
    made._stop_at_s = 0.0
    made.save([1], state())
    made._queue.put(None)
    assert made._writer is not None
    made._writer.join()
    assert files(tmp_path) == []


def test_the_key_names_the_file_and_the_facts(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"x" * 100)
    os.utime(model, (1, 1))
    key = state_key(model, ("f16", 30))
    assert key == state_key(model, ("f16", 30))
    assert key != state_key(model, ("q8_0", 30))
    model.write_bytes(b"y" * 100)
    os.utime(model, (1, 1))
    assert key != state_key(model, ("f16", 30))


def test_states_of_other_adapters_are_apart_in_the_same_folder(tmp_path: Path) -> None:
    def facts(adapters: tuple[tuple[str, float], ...]) -> list[object]:
        return [adapters]

    first = KvStore(tmp_path, KEY, 1 << 20, facts)
    first.save([1, 2, 3], state(seed=1))
    first.under((("a", 1.0),)).save([1, 2, 4], state(seed=2))
    first.under((("b", 1.0),)).save([1, 2, 5], state(seed=3))
    first.close(20)
    assert len(files(tmp_path)) == 3
    again = KvStore(tmp_path, KEY, 1 << 20, facts)
    assert again.under(()) is again

    def begun(adapters: tuple[tuple[str, float], ...]) -> list[int] | None:
        found = again.under(adapters).find([1, 2, 9], 2, usable=any_part)
        return found.tokens if found else None

    assert begun(()) == [1, 2, 3]
    assert begun((("a", 1.0),)) == [1, 2, 4]
    assert begun((("a", 0.5),)) is None
    assert begun((("c", 1.0),)) is None


def saved_for(folder: Path) -> list[int | None]:
    return sorted((kvfile.conversation_of(path) for path in files(folder)), key=lambda each: each or 0)


def test_the_states_of_a_forgotten_conversation_are_deleted_whatever_model_made_them(tmp_path: Path) -> None:
    one, other = store(tmp_path), store(tmp_path, OTHER)
    one.save([1, 2], state(), 7)
    one.save([3, 4], state(), 8)
    one.under((("a", 1.0),)).save([1, 2], state(), 7)
    other.save([1, 2], state(), 7)
    other.save([5, 6], state())
    one.close(10)
    other.close(10)
    assert saved_for(tmp_path) == [0, 7, 7, 7, 8]
    store(tmp_path).forget_conversations([7])
    assert saved_for(tmp_path) == [0, 8]
    assert store(tmp_path).find([1, 2, 9], 2, usable=any_part) is None


def test_a_forgotten_conversation_is_not_saved_until_it_is_remembered(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.forget_conversations([7])
    made.save([1, 2], state(), 7)
    made.under((("a", 1.0),)).save([1, 2], state(), 7)
    made.save([3, 4], state(), 8)
    made.close(10)
    assert saved_for(tmp_path) == [8]
    again = store(tmp_path)
    again.forget_conversations([7])
    again.remember(7)
    again.save([1, 2], state(), 7)
    again.close(10)
    assert saved_for(tmp_path) == [7, 8]


def test_what_is_forgotten_while_it_is_written_is_gone_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = store(tmp_path)
    write = kvfile.write

    def forgetting(*args: object) -> kvfile.StateFile:
        made.forget_conversations([7])
        return write(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(kvfile, "write", forgetting)
    made.save([1, 2], state(), 7)
    made.close(10)
    assert files(tmp_path) == []


def test_files_of_other_versions_and_half_written_ones_go_with_a_forgotten_conversation(tmp_path: Path) -> None:
    fill(tmp_path, ([1, 2], state()))
    (whole,) = files(tmp_path)
    (tmp_path / "0123-old.kv").write_bytes(b"TOKSKV\r\n\x01\x00\x00\x00" + bytes(100))
    (tmp_path / "0123-cut.kv").write_bytes(b"TOK")
    made = store(tmp_path)
    (tmp_path / "0123-other.kv.9.tmp").write_bytes(whole.read_bytes()[:60])
    made.save([8, 9], state(), 7)
    made.close(10)
    (mine,) = (path for path in files(tmp_path) if kvfile.conversation_of(path) == 7)
    mine.rename(tmp_path / "0123-mine.kv.8.tmp")
    assert remove_states(tmp_path, [7]) == 3
    assert files(tmp_path) == sorted([whole, tmp_path / "0123-other.kv.9.tmp"])
    assert remove_states(tmp_path / "nowhere", [7]) == 0
