"""Loops compiled by numba (the extra `fast`), cached on disk between runs."""

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
    """Whether numba is installed and enabled; it is not imported to find out."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return False
    if "numba" in sys.modules:
        return sys.modules["numba"] is not None
    return importlib.util.find_spec("numba") is not None


class Loop:
    """A loop of this source; `call` runs it on arrays of types for which it has been compiled."""

    def __init__(self, source: str) -> None:
        self.call = import_loop(source)
        self.compiled: set[Any] = set()

    def compile_for(self, *arrays: Any) -> None:
        """Compile for the types of these arrays, unless that has been done."""
        key = tuple((a.dtype.char, a.ndim, a.flags.c_contiguous, a.flags.f_contiguous) for a in arrays)
        if key not in self.compiled:
            import numba  # noqa: PLC0415

            self.call.compile(tuple(numba.typeof(a) for a in arrays))
            self.compiled.add(key)


def load_loop(source: str) -> Loop:
    """The loop with this source: one object, even for threads that ask at the same time."""
    with _lock:
        return _load_loop(source)


@functools.lru_cache(maxsize=1024)
def _load_loop(source: str) -> Loop:
    return Loop(source)


def module_name(source: str) -> str:
    """The name of the module of a loop: a hash of its source."""
    return "portable_nn_loop_" + hashlib.sha256(source.encode()).hexdigest()[:24]


@functools.lru_cache(maxsize=1024)
def is_cached(source: str) -> bool:
    """Whether the loop has been compiled before, and is on disk."""
    cache = os.environ.get("NUMBA_CACHE_DIR")
    folders = [cache_folder() / "__pycache__", *([Path(cache)] if cache else [])]
    return any(next(folder.rglob(f"{module_name(source)}*.nbi"), None) for folder in folders)


def import_loop(source: str) -> Any:
    """The function `loop` of a module on disk, beside which numba caches what it compiles."""
    name, text = module_name(source), HEAD + DECORATOR + source
    path = cache_folder() / f"{name}.py"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module  # numba looks for it there when it loads a cached loop
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module.loop


@functools.cache
def cache_folder() -> Path:
    """The folder of cached loops: in the user's cache, or, if that is not writable, a temporary one."""
    here = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    cache = (Path(here) if here else Path.home() / ".cache") / "portable_nn" / "loops"
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            return cache
    except (OSError, RuntimeError):
        return Path(tempfile.mkdtemp(prefix="portable_nn_"))
