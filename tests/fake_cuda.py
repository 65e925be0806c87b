"""A GPU that is none: NumPy's memory, kernels compiled as C++ for the CPU, a cuBLAS of forty lines.

What a program puts in line is carried out when its turn is over, its blocks and threads in either order;
memory that nobody has written to holds NaN. So it shows what is wrong with a kernel, with the order, or
with what is captured, without a card; it does not show what CuPy and CUDA make of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from portable_nn.compiler.cuda.cublas import Cublas
from portable_nn.compiler.cuda.device import array_info

COMPILER = shutil.which("g++")
FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-shared", "-fPIC", "-w")

RUNTIME = """
#include <cmath>
#include <ucontext.h>
using namespace std;
#define __global__
#define __device__
#define __shared__ static
struct Number { unsigned int x; };
static Number blockIdx, threadIdx;
static ucontext_t scheduler;
static ucontext_t fibers[256];
static char done[256], stacks[256][32768];
static void (*body)(void**);
static void** given;
static void __syncthreads() { swapcontext(&fibers[threadIdx.x], &scheduler); }
static void fiber() { body(given); done[threadIdx.x] = 1; }
static void start(void (*kernel)(void**), void** arguments, int blocks, int threads, int backwards,
                  bool has_barriers) {
  body = kernel; given = arguments;
  for (int b = 0; b < blocks; b++) {
    blockIdx.x = backwards ? blocks - 1 - b : b;
    if (!has_barriers) {
      for (int k = 0; k < threads; k++) {
        threadIdx.x = backwards ? threads - 1 - k : k;
        body(given);
      }
      continue;
    }
    for (int t = 0; t < threads; t++) {
      getcontext(&fibers[t]);
      done[t] = 0;
      fibers[t].uc_stack.ss_sp = stacks[t]; fibers[t].uc_stack.ss_size = sizeof stacks[t];
      fibers[t].uc_link = &scheduler;
      makecontext(&fibers[t], fiber, 0);
    }
    for (bool going = true; going;) {  // each thread goes on to its next barrier, or to its end
      going = false;
      for (int k = 0; k < threads; k++) {
        const int t = backwards ? threads - 1 - k : k;
        if (done[t]) continue;
        threadIdx.x = t;
        swapcontext(&scheduler, &fibers[t]);
        going = true;
      }
    }
  }
}
"""

CUBLAS = """
#include <cstddef>
struct Handle { void *stream, *workspace; };
template <typename T> static void multiply(bool ta, bool tb, int m, int n, int k, const T* A, int lda,
                                           const T* B, int ldb, T* C, int ldc, T alpha, T beta) {
  for (int j = 0; j < n; j++)
    for (int i = 0; i < m; i++) {
      double sum = 0;
      for (int l = 0; l < k; l++)
        sum += (double)(ta ? A[l + (long)i * lda] : A[i + (long)l * lda])
             * (double)(tb ? B[j + (long)l * ldb] : B[l + (long)j * ldb]);
      C[i + (long)j * ldc] = alpha * (T)sum + (beta != 0 ? beta * C[i + (long)j * ldc] : 0);
    }
}
extern "C" {
int cublasCreate_v2(Handle** handle) { *handle = new Handle{nullptr, nullptr}; return 0; }
int cublasSetStream_v2(Handle* h, void* stream) { h->stream = stream; h->workspace = nullptr; return 0; }
int cublasSetWorkspace_v2(Handle* h, void* at, size_t) { h->workspace = at; return 0; }
int cublasGemmStridedBatchedEx(Handle* h, int ta, int tb, int m, int n, int k, const void* alpha,
    const void* A, int at, int lda, long long sa, const void* B, int bt, int ldb, long long sb,
    const void* beta, void* C, int ct, int ldc, long long sc, int batch, int compute, int algorithm) {
  if (!h->stream || !h->workspace) return 1;
  if (at != bt || at != ct || (at == 0 ? compute != 68 && compute != 77 : compute != 70)) return 15;
  if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m || algorithm != -1) return 7;
  for (int i = 0; i < batch; i++)
    if (at == 0) multiply<float>(ta, tb, m, n, k, (float*)A + i * sa, lda, (float*)B + i * sb, ldb,
                                 (float*)C + i * sc, ldc, *(float*)alpha, *(float*)beta);
    else multiply<double>(ta, tb, m, n, k, (double*)A + i * sa, lda, (double*)B + i * sb, ldb,
                          (double*)C + i * sc, ldc, *(double*)alpha, *(double*)beta);
  return 0;
}
}
"""


def compiled(source: str, folder: Path) -> ctypes.CDLL:
    """The shared library of a source in C++, compiled once for a folder."""
    name = hashlib.sha256(source.encode()).hexdigest()[:20]
    library = folder / f"{name}.so"
    if not library.exists():
        text, part = folder / f"{name}.cpp", folder / f"{name}.{threading.get_ident()}"
        text.write_text(source)
        command = [str(COMPILER), *FLAGS, str(text), "-o", str(part)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:2000]
        part.replace(library)
    return ctypes.CDLL(str(library))


class FakeDevice:
    """See `portable_nn.backends.cuda.device.Device`; `backwards`: blocks and threads, last first."""

    def __init__(self, folder: Path, backwards: bool = False, can_capture: bool = True) -> None:
        self.folder, self.backwards, self.can_capture = folder, backwards, can_capture
        self.lock = threading.RLock()
        self.memory_users: list[Any] = []
        self.seen_arrays: list[Any] = []
        self.queue: list[Any] = []  # what has been put in line
        self.is_on_stream = self.is_capturing = False
        self.loaded: set[Any] = set()  # kernels and products that have been put in line
        self.captured = 0  # steps and more that were put in line while something was being captured
        self.launches = 0
        self.workspace = np.zeros(1, "uint8")
        self.cublas = Cublas(compiled(CUBLAS, folder), 1, self.address(self.workspace))

    @contextlib.contextmanager
    def own_stream(self) -> Iterator[None]:
        assert not self.is_on_stream
        self.is_on_stream = True
        try:
            yield
            for work in self.queue:
                work()
        finally:
            self.queue, self.is_on_stream = [], False

    def put(self, work: Any, what: Any = None) -> None:
        assert self.is_on_stream, "work outside of the program's turn"
        assert not self.is_capturing or what is None or what in self.loaded, "captured, and never run"
        self.loaded.add(what)
        self.launches += 1
        self.queue.append(work)

    def info(self, array: Any) -> Any:
        return array_info(array)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        array = np.empty(shape, dtype)
        array.reshape(-1).view("uint8")[...] = 0xFF  # NaN, read as a float
        return array

    def to_device(self, host: Any) -> Any:
        return np.array(host, order="C")

    def address(self, array: Any) -> int:
        return int(array.__array_interface__["data"][0])

    def view(self, array: Any, dtype: Any, layout: Any) -> Any:
        size = np.dtype(dtype).itemsize
        at = self.address(array) + layout.offset * size
        one = np.frombuffer((ctypes.c_char * size).from_address(at), dtype)
        self.seen_arrays.append(array)  # who looks at memory keeps it
        return as_strided(one, layout.shape, [s * size for s in layout.strides])

    def copy(self, target: Any, source: Any) -> None:
        assert target.shape == source.shape
        assert target.dtype == source.dtype
        self.put(functools.partial(np.copyto, target, source))

    def compile(self, source: str, names: Any) -> list[Any]:
        library = compiled(runnable(source, names), self.folder)
        return [functools.partial(self.launch, getattr(library, f"run_{name}")) for name in names]

    def launch(self, function: Any, blocks: int, threads: int, arrays: Any) -> None:
        given = (ctypes.c_void_p * len(arrays))(*(self.address(array) for array in arrays))
        self.put(lambda: function(given, blocks, threads, int(self.backwards)), id(function))

    def product(self, product: Any, left: Any, right: Any, out: Any) -> Any:
        run = self.cublas.prepared(product, *map(self.address, (left, right, out)))
        return lambda alive=(left, right, out): self.put(run, product)

    def capture(self, work: Any) -> Any:
        before, self.queue, self.is_capturing = self.queue, [], True
        work()
        self.is_capturing = False
        inside, self.queue = self.queue, before
        self.captured += len(inside)

        def replay() -> None:
            for each in inside:
                each()

        return lambda: self.put(replay)


def runnable(source: str, names: Any) -> str:
    """The kernels' source with what the CPU needs, and a function for each kernel to start it."""
    starts = []
    for name in names:
        rest = source.partition(f"void {name}(")[2]
        head, has_barriers = rest.partition(")")[0], "block_reduce" in rest.partition("__global__")[0]
        kinds = [one.rsplit(maxsplit=1)[0] for one in head.split(",")]
        given = ", ".join(f"({kind})a[{i}]" for i, kind in enumerate(kinds))
        starts.append(
            f"static void call_{name}(void** a) {{ {name}({given}); }}\n"
            f'extern "C" void run_{name}(void** a, int blocks, int threads, int backwards) '
            f"{{ start(call_{name}, a, blocks, threads, backwards, {int(has_barriers)}); }}\n"
        )
    return RUNTIME + source + "".join(starts)
