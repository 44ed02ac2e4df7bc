"""Where llama.cpp's source of the installed build lies: in uv's cache, in an unpacked sdist, or fetched by pip."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from importlib.metadata import distribution
from pathlib import Path

from app.config.paths import cache_dir, ensure_dir

_PACKAGE = "llama-cpp-python"
_PROOF = Path("tools", "llama-bench", "llama-bench.cpp")


def bench_dir() -> Path:
    """Returns the folder of everything that a benchmark builds; it lies in the app's cache."""
    return ensure_dir(cache_dir() / "bench")


def libraries() -> Path:
    """Returns the folder of the installed libraries, `libllama-common.so` and `libmtmd.so` among them."""
    return Path(str(distribution(_PACKAGE).locate_file("lib")))


def is_current(binary: Path) -> bool:
    """Whether a tool is there that was linked after the libraries were installed."""
    return binary.exists() and binary.stat().st_mtime > (libraries() / "libllama.so").stat().st_mtime


def link_options(*names: str) -> list[str]:
    """Returns what links a tool to the installed libraries, so that it finds them when it runs."""
    folder = libraries()
    # The old kind of tag is asked by the libraries' own libraries too.
    tags = [f"-Wl,-rpath,{folder}", "-Wl,--disable-new-dtags", "-Wl,--allow-shlib-undefined"]
    return [f"-L{folder}", *(f"-l{name}" for name in names), *tags]


def find_source(source: Path | None = None) -> Path:
    """Returns the folder `vendor/llama.cpp` of the sdist, which pip downloads where there is none yet.

    Raises FileNotFoundError where `source` is no such folder.
    """
    if source is not None:
        if found := _first([source, source / "vendor" / "llama.cpp"]):
            return found
        raise FileNotFoundError(f"no source of llama.cpp in {source}")
    version = distribution(_PACKAGE).version
    cache = Path(subprocess.run(["uv", "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip())
    own = bench_dir() / f"llama_cpp_python-{version}" / "vendor" / "llama.cpp"
    kept = sorted(cache.glob(f"sdists-*/pypi/{_PACKAGE}/{version}/*/src/vendor/llama.cpp"))
    return _first([own, *kept]) or _download(version, own)


def _first(candidates: list[Path]) -> Path | None:
    return next((candidate for candidate in candidates if (candidate / _PROOF).exists()), None)


def _download(version: str, wanted: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", _PACKAGE]
    subprocess.run([*command, "-d", str(bench_dir()), f"{_PACKAGE}=={version}"], check=True)
    with tarfile.open(bench_dir() / f"llama_cpp_python-{version}.tar.gz") as archive:
        archive.extractall(bench_dir(), filter="data")
    return wanted
