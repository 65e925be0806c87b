"""What the libraries do on this CUDA machine: a line for each question, each asked apart.

python benchmarks/gpu_probe.py
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import record

try:
    import cupy as cp
    from cupyx.profiler import benchmark
except ImportError:
    cp = None

QUESTIONS: list[Callable[[], Any]] = []


def question(ask: Callable[[], Any]) -> Callable[[], Any]:
    """Add a question to those that are asked."""
    QUESTIONS.append(ask)
    return ask


def times(work: Callable[[], Any], n: int = 200) -> dict[str, float]:
    """Microseconds of a call on the host and on the device."""
    found = benchmark(work, (), n_repeat=n, n_warmup=20)
    return {
        "host": round(float(found.cpu_times.mean()) * 1e6, 1),
        "device": round(float(found.gpu_times.mean()) * 1e6, 1),
    }


def fused_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one kernel of CuPy's."""
    return cp.fuse(kernel_name="fused_function")(function)


@question
def versions() -> Any:
    """CuPy, runtime, driver, capability, and the card."""
    runtime = cp.cuda.runtime
    return (
        cp.__version__,
        runtime.runtimeGetVersion(),
        runtime.driverGetVersion(),
        cp.cuda.Device().compute_capability,
        record.cards(),
        record.versions(),
    )


@question
def microseconds_of_a_call() -> Any:
    """What CuPy's calls cost on small arrays."""
    a, b = cp.ones((128, 512), "f"), cp.ones((512, 512), "f")
    out, fused = cp.empty((128, 512), "f"), fused_function(lambda x, y: cp.maximum(x * 2.0 + y, 0.0))
    return {
        "add": times(lambda: a + a),
        "add to out": times(lambda: cp.add(a, a, out)),
        "fused": times(lambda: fused(a, a)),
        "matmul": times(lambda: a @ b),
        "matmul to out": times(lambda: cp.matmul(a, b, out=out)),
    }


@question
def microseconds_of_sums() -> Any:
    """Sums down columns, along rows, and by a product."""
    found = {}
    for n, h in ((128, 512), (4096, 512), (65536, 10)):
        x, ones = cp.ones((n, h), "f"), cp.ones((1, n), "f")
        ways = {"axis 0": lambda x=x: x.sum(axis=0), "axis 1": lambda x=x: x.sum(axis=1)}
        ways["product"] = lambda x=x, ones=ones: ones @ x
        found[n, h] = {name: times(way)["device"] for name, way in ways.items()}
    return found


@question
def numbers_in_fused_functions() -> Any:
    """1 - b of a Python number b should be exact to float32: 0.001."""
    value = float(fused_function(lambda x, b: x * (1 - b))(cp.ones(1, "f"), 0.999)[0])
    return value, "computed in half precision" if abs(value - 1e-3) > 1e-8 else "right"


@question
def teraflops_of_products() -> Any:
    """4096 x 4096 in float32, TF32 and float64."""
    from cupy._core import _routines_linalg as linalg  # noqa: PLC0415

    found = {}
    for name, kind, dtype in (
        ("float32", linalg.COMPUTE_TYPE_DEFAULT, "f"),
        ("TF32", linalg.COMPUTE_TYPE_TF32, "f"),
        ("float64", linalg.COMPUTE_TYPE_DEFAULT, "d"),
    ):
        a = cp.random.random((4096, 4096)).astype(dtype)
        linalg.set_compute_type("f", kind)
        found[name] = round(2 * 4096**3 / times(lambda a=a: a @ a, n=20)["device"] / 1e6, 1)
    linalg.set_compute_type("f", linalg.COMPUTE_TYPE_DEFAULT)
    return found


@question
def terabytes_a_second_of_a_copy() -> Any:
    """Bytes read and written, from device memory to device memory."""
    a, b = cp.ones(2**28, "f"), cp.empty(2**28, "f")
    return round(2 * a.nbytes / times(lambda: cp.copyto(b, a), n=10)["device"] / 1e6, 2)


@question
def products_in_a_capture() -> Any:
    """CuPy's own are refused while a graph is captured."""
    a, stream = cp.ones((4, 4), "f"), cp.cuda.Stream(non_blocking=True)
    a @ a
    cp.cuda.Device().synchronize()
    with stream:
        stream.begin_capture()
        try:
            a @ a
            found = "allowed"
        except NotImplementedError as error:
            found = f"refused: {error}"
        finally:
            stream.end_capture()
    return found


@question
def our_handle_of_cublas() -> Any:
    """Whether it is found, what it computes, and what a replayed product costs."""
    import portable_nn as pnn  # noqa: PLC0415
    from portable_nn.compiler.cuda.products import product_of  # noqa: PLC0415
    from portable_nn.compiler.layout import Layout  # noqa: PLC0415

    device = pnn.backends.get("cupy").cuda
    random, found = np.random.default_rng(0), {"can capture": device.can_capture}
    for name, m, k, n in (("256-784-128", 256, 784, 128), ("32-20-32", 32, 20, 32)):
        left, right = (cp.asarray(random.normal(size=s), "f") for s in ((m, k), (k, n)))
        out = cp.zeros((m, n), "f")
        layouts = [Layout(a.shape, (a.shape[1], 1)) for a in (left, right, out)]
        product = device.product(product_of(*layouts, np.dtype("float32")), left, right, out)
        with device.own_stream():
            product()
            error = float(cp.abs(out - left.astype("d") @ right.astype("d")).max())

            def many(product: Any = product) -> None:
                for _ in range(100):
                    product()

            replay = device.capture(many)
            start, end = cp.cuda.Event(), cp.cuda.Event()
            replay()
            start.record(device.stream)
            for _ in range(20):
                replay()
            end.record(device.stream)
            end.synchronize()
        each = cp.cuda.get_elapsed_time(start, end) / 2000 * 1000
        found[name] = {"error": error, "us replayed": round(each, 2)}
    return found


def main() -> int:
    """Ask everything; 0 if all was answered."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if cp is None or not cp.is_available():
        print("CuPy has no CUDA device here: nothing was asked")
        return 0
    failed = 0
    for ask in QUESTIONS:
        try:
            print(f"{ask.__name__}: {ask()}", flush=True)
        except Exception as error:  # the other questions are asked all the same
            failed += 1
            print(f"{ask.__name__}: FAILED: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc(limit=4)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
