"""Loops compiled by numba, where the extra `fast` is installed, and kept on disk between runs."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

HEAD = "from math import sqrt\n\nfrom numba import bool_, float32, float64, njit\n\n\n"
DECORATOR = '@njit(cache=True, error_model="numpy", nogil=True)\n'

_lock = threading.Lock()


def installed() -> bool:
    """Whether numba is there; it is not imported to find out."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return False
    if "numba" in sys.modules:
        return sys.modules["numba"] is not None
    return importlib.util.find_spec("numba") is not None


class Loop:
    """A compiled loop, kept in memory and on disk; `ready` compiles it for arrays like these."""

    def __init__(self, source: str) -> None:
        self.call = function_from(source)
        self.known: set[Any] = set()

    def ready(self, *arrays: Any) -> None:
        """Compile for the types of these arrays, unless that is done."""
        key = tuple((a.dtype.char, a.ndim, a.flags.c_contiguous, a.flags.f_contiguous) for a in arrays)
        if key not in self.known:
            import numba  # noqa: PLC0415

            self.call.compile(tuple(numba.typeof(a) for a in arrays))
            self.known.add(key)


def loop_from(source: str) -> Loop:
    """The loop with this source: one object, also for threads that ask at once."""
    with _lock:
        return _loop_from(source)


@functools.lru_cache(maxsize=1024)
def _loop_from(source: str) -> Loop:
    return Loop(source)


def module_name(source: str) -> str:
    """A name that tells one loop from another."""
    return "portable_nn_loop_" + hashlib.sha256(source.encode()).hexdigest()[:24]


@functools.lru_cache(maxsize=1024)
def is_kept(source: str) -> bool:
    """Whether the loop was compiled before, and lies on disk."""
    cache = os.environ.get("NUMBA_CACHE_DIR")
    places = [folder() / "__pycache__", *([Path(cache)] if cache else [])]
    return any(next(place.rglob(f"{module_name(source)}*.nbi"), None) for place in places)


def function_from(source: str) -> Any:
    """The function `loop` of a module, which lies on disk for what is compiled to be kept beside it."""
    name, text = module_name(source), HEAD + DECORATOR + source
    path = folder() / f"{name}.py"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module  # numba looks for it there when it takes a kernel from the disk
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module.loop


@functools.cache
def folder() -> Path:
    """Where loops are kept between runs: this user's cache, or, where that cannot be, until the end."""
    here = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    kept = (Path(here) if here else Path.home() / ".cache") / "portable_nn" / "loops"
    try:
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=kept):
            return kept
    except (OSError, RuntimeError):
        return Path(tempfile.mkdtemp(prefix="portable_nn_"))
