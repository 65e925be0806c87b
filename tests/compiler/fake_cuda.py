"""A GPU that is none: NumPy's memory, kernels compiled as C++ for the CPU, a cuBLASLt of eighty lines.

Enqueued work runs when the context of the device's stream ends, with blocks and threads in either order;
memory that has not been written holds NaN. So errors in a kernel, in the order of launches or in what is
captured show without a card; how CuPy and CUDA behave does not.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
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
# -O0 compiles fastest, and the kernels are small; without _FORTIFY_SOURCE, which forbids longjmp to
# another stack
FLAGS = (
    "-std=c++17",
    "-O0",
    "-U_FORTIFY_SOURCE",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-fPIC",
    "-w",
)

HEADERS = """
#include <cmath>
#include <setjmp.h>
#include <ucontext.h>
"""

# A kernel with barriers runs each thread of a block on a stack of its own. Stacks are made once, and
# switched by setjmp and longjmp, which ask nothing of the operating system.
RUNTIME = """
using namespace std;
#define __global__
#define __device__
#define __shared__ static
enum { THREADS = 256, STACK = 65536 };
struct Number { unsigned int x; };
static Number blockIdx, threadIdx;
static void (*body)(void**);
static void** given;
static ucontext_t main_context, first[THREADS];
static jmp_buf scheduler, threads_at[THREADS];
static char done[THREADS], made[THREADS], stacks[THREADS][STACK] __attribute__((aligned(64)));
static void __attribute__((noinline)) pause_thread(int t) {
  if (!_setjmp(threads_at[t])) _longjmp(scheduler, 1);
}
static void __syncthreads() { pause_thread(threadIdx.x); }
static void thread(int t) {
  for (;;) { body(given); done[t] = 1; pause_thread(t); }
}
static void __attribute__((noinline)) resume(int t) {
  if (_setjmp(scheduler)) return;
  if (made[t]) _longjmp(threads_at[t], 1);
  made[t] = 1;
  getcontext(&first[t]);
  first[t].uc_stack.ss_sp = stacks[t]; first[t].uc_stack.ss_size = STACK;
  first[t].uc_link = &main_context;
  makecontext(&first[t], (void (*)())thread, 1, t);
  setcontext(&first[t]);
}
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
    for (int t = 0; t < threads; t++) done[t] = 0;
    for (bool going = true; going;) {  // each thread goes on to its next barrier, or to its end
      going = false;
      for (int k = 0; k < threads; k++) {
        const int t = backwards ? threads - 1 - k : k;
        if (done[t]) continue;
        threadIdx.x = t;
        resume(t);
        going = true;
      }
    }
  }
}
"""

CUBLAS = """
#include <cstddef>
#include <cstdlib>
#include <cstring>
struct Object { long long values[8]; };
struct Layout { int type; long long rows, columns, leading, batch, stride; };
struct Algorithm { int parts, unused[15]; };
struct Suggestion { Algorithm algorithm; size_t workspace; int state; float waves; int reserved[4]; };
static int objects = 0, parts_used = 0, suggested[8] = {264, 132, 33, 1}, count = 4;
static long long alignments[4];
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
int cublasLtCreate(void** handle) { *handle = malloc(1); return 0; }
int cublasLtMatmulDescCreate(Object** made, int compute, int type) {
  *made = new Object{{compute, type}}; objects++; return 0;
}
int cublasLtMatmulDescSetAttribute(Object* of, int which, const int* value, size_t size) {
  if ((which != 3 && which != 4) || size != 4) return 7;
  of->values[which] = *value; return 0;
}
int cublasLtMatmulDescDestroy(Object* of) { delete of; objects--; return 0; }
int cublasLtMatrixLayoutCreate(Layout** made, int type, size_t rows, size_t columns, long long ld) {
  if (ld < (long long)rows) return 7;
  *made = new Layout{type, (long long)rows, (long long)columns, ld, 1, 0}; objects++; return 0;
}
int cublasLtMatrixLayoutSetAttribute(Layout* of, int which, const void* value, size_t size) {
  if (which == 5 && size == 4) of->batch = *(const int*)value;
  else if (which == 6 && size == 8) of->stride = *(const long long*)value;
  else return 7;
  return 0;
}
int cublasLtMatrixLayoutDestroy(Layout* of) { delete of; objects--; return 0; }
int cublasLtMatmulPreferenceCreate(Object** made) { *made = new Object{}; objects++; return 0; }
int cublasLtMatmulPreferenceSetAttribute(Object* of, int which, const void* value, size_t size) {
  if (which == 1 && size == 8) of->values[0] = *(const size_t*)value;
  else if (which >= 5 && which <= 8 && size == 4) alignments[which - 5] = *(const int*)value;
  else return 7;
  return 0;
}
int cublasLtMatmulPreferenceDestroy(Object* of) { delete of; objects--; return 0; }
void suggest(const int* parts, int n) { memcpy(suggested, parts, n * 4); count = n; }
int last_parts() { return parts_used; }
int living_objects() { return objects; }
int alignment(int which) { return alignments[which]; }
int cublasLtMatmulAlgoGetHeuristic(void*, Object*, Layout*, Layout*, Layout*, Layout*,
    Object* preference, int asked, Suggestion* found, int* returned) {
  if (preference->values[0] != 32 << 20) return 7;
  for (int i = 0; i < count && i < asked; i++)
    found[i] = {{suggested[i] & 0xFFFF}, 0, suggested[i] >> 16, 0.0f, {}};
  *returned = count; return 0;
}
int cublasLtMatmulAlgoConfigGetAttribute(
    const Algorithm* of, int which, int* value, size_t size, size_t*) {
  if (which != 2 || size != 4) return 7;
  *value = of->parts; return 0;
}
int cublasLtMatmul(void*, Object* of, const void* alpha, const void* A, Layout* a, const void* B,
    Layout* b, const void* beta, const void* C, Layout*, void* D, Layout* d, const Algorithm* algorithm,
    void* workspace, size_t, void* stream) {
  if (!stream || !workspace) return 1;
  const int type = of->values[1], compute = of->values[0], ta = of->values[3], tb = of->values[4];
  if (a->type != type || b->type != type || d->type != type) return 15;
  if (type == 0 ? compute != 68 && compute != 77 : compute != 70) return 15;
  const long long m = d->rows, n = d->columns, k = ta ? a->rows : a->columns;
  if ((ta ? a->columns : a->rows) != m || (tb ? b->columns : b->rows) != k) return 7;
  if ((tb ? b->rows : b->columns) != n || C != D) return 7;
  parts_used = algorithm->parts;
  for (int i = 0; i < d->batch; i++)
    if (type == 0) multiply<float>(ta, tb, m, n, k, (float*)A + i * a->stride, a->leading,
        (float*)B + i * b->stride, b->leading, (float*)D + i * d->stride, d->leading,
        *(float*)alpha, *(float*)beta);
    else multiply<double>(ta, tb, m, n, k, (double*)A + i * a->stride, a->leading,
        (double*)B + i * b->stride, b->leading, (double*)D + i * d->stride, d->leading,
        *(double*)alpha, *(double*)beta);
  return 0;
}
}
"""


def compiled(source: str, folder: Path) -> ctypes.CDLL:
    """The shared library of a source in C++, compiled once for a folder, also by several processes."""
    name = hashlib.sha256(source.encode()).hexdigest()[:20]
    library = folder / f"{name}.so"
    if not library.exists():
        text = folder / f"{name}.cpp"
        if not text.exists():
            replace(text, lambda part: part.write_text(source))
        header = precompiled(folder)
        replace(library, lambda part: gcc("-shared", "-include", header, text, "-o", part))
    return ctypes.CDLL(str(library))


def precompiled(folder: Path) -> Path:
    """The headers of the standard library, compiled once for a folder: half of the time of a kernel."""
    header = folder / "headers.h"
    if not (folder / "headers.h.gch").exists():
        replace(header, lambda part: part.write_text(HEADERS))
        replace(folder / "headers.h.gch", lambda part: gcc("-x", "c++-header", header, "-o", part))
    return header


def replace(path: Path, write: Any) -> None:
    """Write a file under another name, and give it its own when it is whole."""
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    write(part)
    part.replace(path)


def gcc(*arguments: Any) -> None:
    done = subprocess.run(
        [str(COMPILER), *FLAGS, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:2000]


class FakeDevice:
    """See `portable_nn.compiler.cuda.device.Device`; `backwards`: blocks and threads, last first."""

    def __init__(self, folder: Path, backwards: bool = False, can_capture: bool = True) -> None:
        self.folder, self.backwards, self.can_capture = folder, backwards, can_capture
        self.lock = threading.RLock()
        self.memory_users: list[Any] = []
        self.seen_arrays: list[Any] = []
        self.tf32 = False
        self.queue: list[Any] = []  # what has been enqueued
        self.is_on_stream = self.is_capturing = False
        self.loaded: set[Any] = set()  # kernels and products that have been enqueued
        self.captured = 0  # how much was enqueued during captures
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

    def enqueue(self, work: Any, what: Any = None) -> None:
        assert self.is_on_stream, "work outside of the program's stream"
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
        self.seen_arrays.append(array)  # a view keeps its memory
        return as_strided(one, layout.shape, [s * size for s in layout.strides])

    def copy(self, target: Any, source: Any) -> None:
        assert target.shape == source.shape
        assert target.dtype == source.dtype
        self.enqueue(functools.partial(np.copyto, target, source))

    def compile(self, source: str, names: Any) -> list[Any]:
        library = compiled(runnable(source, names), self.folder)
        return [functools.partial(self.launch, getattr(library, f"run_{name}")) for name in names]

    def launch(self, function: Any, blocks: int, threads: int, arrays: Any) -> None:
        given = (ctypes.c_void_p * len(arrays))(*(self.address(array) for array in arrays))
        self.enqueue(lambda: function(given, blocks, threads, int(self.backwards)), id(function))

    def product(self, product: Any, left: Any, right: Any, out: Any) -> Any:
        run = self.cublas.prepared(product, [self.address(x) for x in (left, right, out)], self.tf32)
        return lambda alive=(left, right, out): self.enqueue(run, product)

    def capture(self, work: Any) -> Any:
        before, self.queue, self.is_capturing = self.queue, [], True
        work()
        self.is_capturing = False
        inside, self.queue = self.queue, before
        self.captured += len(inside)

        def replay() -> None:
            for each in inside:
                each()

        return lambda: self.enqueue(replay)


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
