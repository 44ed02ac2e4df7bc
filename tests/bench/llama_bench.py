"""llama.cpp's own yardstick: `llama-bench`, built in seconds against the very libraries that the wheel brought.

The source is the one that the wheel was built from; uv keeps it in its cache, or `source` names an unpacked sdist.
"""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import distribution
from pathlib import Path

from app.config.paths import cache_dir, ensure_dir

_INCLUDES = ("include", "ggml/include", "common", "vendor")
_LIBRARIES = ("llama-common", "llama", "ggml", "ggml-base", "ggml-cpu")


def find_source(source: Path | None = None) -> Path:
    """Returns the folder `vendor/llama.cpp` of the sdist. Raises FileNotFoundError with what to do."""
    if source is not None:
        candidates = [source, source / "vendor" / "llama.cpp"]
    else:
        cache = Path(subprocess.run(["uv", "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip())
        version = distribution("llama-cpp-python").version
        candidates = sorted(cache.glob(f"sdists-*/pypi/llama-cpp-python/{version}/*/src/vendor/llama.cpp"))
    for candidate in candidates:
        if (candidate / "tools" / "llama-bench" / "llama-bench.cpp").exists():
            return candidate
    raise FileNotFoundError("no source of llama.cpp: unpack the sdist of llama-cpp-python and give it with --source")


def build(source: Path | None = None) -> Path:
    """Returns a `llama-bench` linked to the installed libraries, building it when there is none yet."""
    libraries = Path(str(distribution("llama-cpp-python").locate_file("lib")))
    binary = ensure_dir(cache_dir() / "bench") / "llama-bench"
    if binary.exists() and binary.stat().st_mtime > (libraries / "libllama.so").stat().st_mtime:
        return binary
    llama = find_source(source)
    tool = llama / "tools" / "llama-bench"
    command = ["g++", "-O1", "-std=c++17", *(f"-I{llama / folder}" for folder in _INCLUDES), "-o", str(binary)]
    command += [str(file) for file in sorted(tool.glob("*.cpp"))]
    command += [f"-L{libraries}", *(f"-l{name}" for name in _LIBRARIES)]
    command += [f"-Wl,-rpath,{libraries}", "-Wl,--allow-shlib-undefined"]
    subprocess.run(command, check=True)
    return binary


def tokens_per_second(binary: Path, model: Path, *, n_threads: int, n_generate: int = 128) -> float:
    """Returns the decode rate of one repetition of `llama-bench -n`."""
    command = [binary, "-m", model, "-p", "0", "-n", str(n_generate), "-t", str(n_threads), "-r", "1", "-o", "json"]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    return float(json.loads(run.stdout)[0]["avg_ts"])
