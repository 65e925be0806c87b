"""Loops compiled by numba (the extra `fast`), cached on disk between runs.

numba's own cache unpickles whatever files it finds. Ours asks the same of numba, what it has compiled,
but loads it only from a folder of the user's own and after a checksum.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from portable_nn.compiler.locks import Lock, is_held_by_another_thread
from portable_nn.compiler.numpy.cache_folder import cache_folder
from portable_nn.compiler.numpy.deferred_signals import signals_deferred
from portable_nn.compiler.numpy.verified_files import read_verified, remove, write_verified

HEAD = "from math import sqrt\n\nfrom numba import bool_, float32, float64, njit\n\n\n"
DECORATOR = '@njit(error_model="numpy", nogil=True)\n'

_lock = Lock()  # held over whatever numba does for us


def installed() -> bool:
    """Whether numba is installed and enabled; it is not imported to find out."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return False
    if "numba" in sys.modules:
        return sys.modules["numba"] is not None
    return importlib.util.find_spec("numba") is not None


def is_imported() -> bool:
    """Whether numba is imported, for whomever."""
    return sys.modules.get("numba") is not None


def was_lost() -> bool:
    """Whether this process was forked while another thread used numba, which is then unusable here."""
    return _lock.was_abandoned


class Loop:
    """A loop of this source; `call` runs it on arrays of types for which it has been compiled."""

    def __init__(self, source: str) -> None:
        self.call = make_dispatcher(source)
        self.compiled: set[Any] = set()

    def compile_for(self, *arrays: Any) -> None:
        """Compile for the types of these arrays, unless that has been done."""
        key = tuple((a.dtype.char, a.ndim, a.flags.c_contiguous, a.flags.f_contiguous) for a in arrays)
        if key not in self.compiled:
            with _lock, signals_deferred():
                import numba  # noqa: PLC0415

                self.call.compile(tuple(numba.typeof(a) for a in arrays))
            self.compiled.add(key)


def load_loop(source: str) -> Loop:
    """The loop with this source: one object, even for threads that ask at the same time."""
    with _lock, signals_deferred():
        return _load_loop(source)


@functools.lru_cache(maxsize=1024)
def _load_loop(source: str) -> Loop:
    return Loop(source)


def module_name(source: str) -> str:
    """The name of the module of a loop: a hash of its source."""
    return "portable_nn_loop_" + hashlib.sha256(source.encode()).hexdigest()[:24]


@functools.lru_cache(maxsize=1024)
def is_cached(source: str) -> bool:
    """Whether the loop has been compiled before, for whatever types, and is on disk."""
    folder = cache_folder()
    return folder is not None and any(folder.glob(f"{module_name(source)}.*.loop"))


def make_dispatcher(source: str) -> Any:
    """The function `loop` of a new module, as numba's dispatcher."""
    name, text = module_name(source), HEAD + DECORATOR + source
    module = ModuleType(name)
    sys.modules[name] = module  # numba looks for it there when it loads a cached loop
    exec(compile(text, f"<{name}>", "exec"), module.__dict__)
    module.loop._cache = CompiledCode(source)
    return module.loop


class CompiledCode:
    """The cache of one loop, as numba's dispatcher wants it. Where it fails, the loop is compiled."""

    cache_path = None  # the folder, for those who ask numba for statistics

    def __init__(self, source: str) -> None:
        self.source = source

    def where(self, types: Any, codegen: Any) -> tuple[Path, bytes] | None:
        """The file for arguments of these types, and its key: all on which compiled code depends."""
        import llvmlite  # noqa: PLC0415
        import numba  # noqa: PLC0415

        folder = cache_folder()
        if folder is None:
            return None
        versions = sys.version, numba.__version__, llvmlite.__version__, np.__version__
        processor = codegen.magic_tuple()
        key = repr((HEAD, DECORATOR, self.source, str(types), processor, versions)).encode()
        name = f"{module_name(self.source)}.{hashlib.sha256(key).hexdigest()[:24]}.loop"
        return folder / name, key

    def load_overload(self, types: Any, target: Any) -> Any:
        """numba's result of compiling for these types; None if it is not cached."""
        try:
            target.refresh()
            found = self.where(types, target.codegen())
            content = None if found is None else read_verified(*found)
        except Exception:
            return None
        if found is None or content is None:
            return None
        try:
            from numba.core.compiler import CompileResult  # noqa: PLC0415

            return CompileResult._rebuild(target, *pickle.loads(content))
        except Exception:  # written by something that called itself the same version
            remove(found[0])
            return None

    def save_overload(self, types: Any, result: Any) -> None:
        """Cache numba's result of compiling for these types."""
        try:
            from numba.core.serialize import dumps  # noqa: PLC0415

            found = self.where(types, result.codegen)
            if found is not None and not result.library.has_dynamic_globals:
                write_verified(*found, dumps(result._reduce()))
        except Exception:
            return


def look_at_numba() -> None:
    """In a child that has just been forked: whether another thread was compiling, for whomever."""
    module: Any = sys.modules.get("numba.core.compiler_lock")
    lock = getattr(getattr(module, "global_compiler_lock", None), "_lock", None)
    if lock is not None and is_held_by_another_thread(lock):
        _lock.was_abandoned = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=look_at_numba)
