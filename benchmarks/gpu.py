"""Training on a GPU: ours on CuPy, torch and JAX, their peers, and the floor, all in one run.

python benchmarks/gpu.py --device cuda --out results.jsonl --log workers.log
python benchmarks/gpu.py --device cpu --quick        # whether it runs; nothing of it is a GPU's speed
"""

from __future__ import annotations

import argparse
import ctypes.util
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import goals
import record
import training
from configurations import HUGE, MNIST_SHAPED, ON_A_GPU, TINY, Configuration, quick
from goals import Goal
from rounds import Circumstances, Contender, Result, interleave, speed_ratio

STEPS = "PORTABLE_NN_CUDA_STEPS"  # how ours makes its steps on CuPy; read in the worker's process
WAYS = ("replayed", "fused", "eager")


def ours(label: str, backend: str, steps: str | None = None) -> Contender:
    """`pnn.fit` on a backend, with the steps made in one of CuPy's ways."""
    env = {} if steps is None else {STEPS: steps}
    return one_of(backend, f"ours, {label}", "ours:training", env, backend=backend)


def one_of(
    library: str, label: str, function: str, env: dict[str, str] | None = None, **options: Any
) -> Contender:
    """A contender that needs a library.

    JAX's compiler times kernels to choose among them: its first round is not run beside others.
    """
    needs = ("jax", "optax") if function.endswith(":jax_training") else (library,)
    alone = library == "jax"
    return Contender(label, function, options, needs, env=env or {}, is_first_at_once=not alone)


PRODUCTS, TRAINING = "floor:torch_products", "peers:torch_training"
COMPILE = {"compiled": True, "mode": "reduce-overhead"}
CONTENDERS = {  # from those that matter most to those that are left out first where a card is small
    "floor": one_of("torch", "floor: products, torch, replayed", PRODUCTS, replayed=True),
    "cupy-replayed": ours("CuPy, replayed", "cupy", "replayed"),
    "torch-graph": one_of("torch", "torch, step captured by hand", "peers:torch_graph_training"),
    "torch-compile": one_of("torch", "torch.compile, reduce-overhead", TRAINING, **COMPILE),
    "torch-compile-step": one_of(
        "torch", "the same, Adam compiled too", TRAINING, **COMPILE, compiled_step=True
    ),
    "torch-module": one_of("torch", "torch nn.Module, fused Adam", TRAINING),
    "cupy-fused": ours("CuPy, fused", "cupy", "fused"),
    "cupy-eager": ours("CuPy, eager", "cupy", "eager"),
    "torch-replayed": ours("torch, replayed", "torch", "replayed"),
    "torch": ours("torch, eager", "torch", "eager"),
    "jax": ours("JAX", "jax"),
    "optax-scan": one_of("jax", "jax + optax, lax.scan", "peers:jax_training", scan=True),
    "floor-torch": one_of("torch", "products, torch, one by one", PRODUCTS),
    "floor-cupy": one_of("cupy", "products, CuPy, one by one", "floor:cupy_products"),
}
COMPILED = ("torch-compile", "torch-compile-step")
CAPTURED = ("floor", "torch-graph")  # on a CPU their steps are run, but no graph is: no result
OURS = ("cupy-replayed", "torch-replayed", "jax")
NETS = dict(zip(("mnist", "tiny", "huge", "wide"), ON_A_GPU, strict=True))

PRECISION = {  # of float32 products, TF32 or not: the same for every library, by its name for it
    False: {
        "CUPY_TF32": "0",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "0",
        "JAX_DEFAULT_MATMUL_PRECISION": "float32",
    },
    True: {
        "CUPY_TF32": "1",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
        "JAX_DEFAULT_MATMUL_PRECISION": "tensorfloat32",
    },
}
SHARED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # several processes are on the card at a time
AT_LEAST, WARM, PATIENCE = 0.05, 0.5, 240.0  # seconds: a round, before it, the longest set-up

SMALL = (MNIST_SHAPED, TINY)
GOALS = {  # one over the other; from how much on, and with which nets, on an H200 or its like
    "CuPy, replayed / torch, fused Adam": ("cupy-replayed", ("torch-module",), 4.0, SMALL),
    "CuPy, replayed / torch, captured by hand": ("cupy-replayed", ("torch-graph",), 1.0, SMALL),
    "CuPy, replayed / torch.compile, its better": ("cupy-replayed", COMPILED, 1.0, (HUGE,)),
    "CuPy, replayed / floor": ("cupy-replayed", ("floor",), 0.85, (HUGE,)),
}


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tf32", action="store_true", help="products in TF32, in every library")
    parser.add_argument("--quick", action="store_true", help="small: whether it runs, not how fast")
    parser.add_argument("--out", metavar="FILE.jsonl", help="where the results go, a line each")
    parser.add_argument("--log", metavar="FILE", help="where the workers' tracebacks and warnings go")
    parser.add_argument("--rounds", type=int, default=7, help="at most; 7")
    parser.add_argument("--minutes", type=float, default=8.0, help="no net, nor round, begins later; 8")
    parser.add_argument("--net", nargs="+", choices=tuple(NETS), help="which, in this order; all")
    parser.add_argument(
        "--contender",
        nargs="+",
        choices=tuple(CONTENDERS),
        default=list(CONTENDERS),
        metavar="NAME",
        help=f"some of: {', '.join(CONTENDERS)}",
    )
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error(f"--rounds is {given.rounds}; accepted: a whole number >= 1")
    if given.device == "cuda" and not (record.cards() or ctypes.util.find_library("cuda")):
        parser.error("no CUDA device here, nor a driver; accepted: --device cpu, to see whether it runs")
    return given


def nets(given: argparse.Namespace) -> list[Configuration]:
    """What is trained; on a CPU no net of a hundred million parameters unless it is asked for."""
    small = ("mnist", "tiny") if given.device == "cpu" else tuple(NETS)
    chosen = tuple(NETS[name] for name in given.net or small)
    return [replace(c, epochs=1) for c in quick(chosen)] if given.quick else list(chosen)


def on_the_card(c: Configuration) -> float:
    """About how many bytes a process takes there: parameters, moments, gradients, data, a context."""
    rows = c.n * (c.sizes[0] + c.sizes[-1])
    return 4 * (6 * c.parameters + rows + 4 * c.batch * sum(c.sizes)) + 0.8e9


def memory(card: Mapping[str, str] | None) -> float:
    """The bytes of the card that may be taken; where it does not tell, nothing is left out."""
    amount, _, unit = (card or {}).get("memory.total", "").partition(" ")
    return 0.95 * float(amount) * 2**20 if unit == "MiB" else float("inf")


def unavailable(wanted: Sequence[str], c: Configuration, room: float, device: str) -> dict[str, str]:
    """Whom this device has no place for, and why."""
    if device == "cpu":
        return {key: "no CUDA device" for key in wanted if is_of_cuda_alone(CONTENDERS[key])}
    at_most = int(min(len(wanted), room / on_the_card(c)))
    why = f"the card has room for {at_most} at a time, at {on_the_card(c) / 1e9:.1f} GB each"
    return dict.fromkeys(wanted[at_most:], why)


def is_of_cuda_alone(one: Contender) -> bool:
    """Whether nothing of it is there on a CPU: CuPy, and steps that are replayed."""
    return "cupy" in one.needs or one.env.get(STEPS) == "replayed"


def without(results: dict[str, Result], missing: Mapping[str, str]) -> dict[str, Result]:
    """The results in the contenders' order, and in place of those that are missing: why."""
    for key, why in missing.items():
        if key not in results or results[key].state == "ok":  # else it has failed, and says how
            results[key] = Result(CONTENDERS[key].label, f"not available: {why}")
    return {key: results[key] for key in CONTENDERS if key in results}


def measure(
    given: argparse.Namespace, room: float, out: record.Record
) -> Iterable[tuple[Configuration, dict[str, Result]]]:
    """Every net in its turn, each with an equal part of the time that is left."""
    how = Circumstances(SHARED | PRECISION[given.tf32], WARM, PATIENCE, given.log)
    left, end = nets(given), time.monotonic() + 60 * given.minutes
    wanted = [key for key in CONTENDERS if key in {*given.contender, "floor"}]
    while left:
        start = time.monotonic()
        if start > end:
            print("not measured, as the time is over:", "; ".join(c.name for c in left))
            return
        c, until = left[0], start + (end - start) / len(left)
        missing = unavailable(wanted, c, room, given.device)
        there = {key: CONTENDERS[key] for key in wanted if key not in missing}
        results = interleave(
            there,
            c,
            min(2, given.rounds) if given.quick else given.rounds,
            at_least=AT_LEAST,
            how=how,
            at_once=True,
            until=until,
            device=given.device,
        )
        if given.device == "cpu":
            missing |= {
                key: "no CUDA device; its step was run uncaptured" for key in CAPTURED if key in there
            }
        results = without(results, missing)
        floor = "floor-torch" if given.device == "cpu" else "floor"
        training.report(c, results, out, "gpu", floor, OURS)
        print(f"({time.monotonic() - start:.0f} s)", flush=True)
        yield c, results
        left.pop(0)


def reached(c: Configuration, results: Mapping[str, Result]) -> Iterable[Goal]:
    """What was to be reached with this net, and what was: against the fastest of the others."""
    for what, (one, others, least, those) in GOALS.items():
        ratios = [speed_ratio(results, one, other) for other in others]
        value = min((ratio for ratio in ratios if ratio is not None), default=None)
        is_set = c.sizes in [net.sizes for net in those]
        yield Goal(what, c.sizes, value, least if is_set else None)


def main() -> int:
    """Measure, and say what was reached."""
    given, cards = arguments(), record.cards()
    card = cards[0] if cards and given.device == "cuda" else None
    name = card and card["name"]
    out = record.Record(given.out, name, cards=cards, device=given.device, tf32=given.tf32)
    print(f"{out.short}; {', '.join(f'{k} {v}' for k, v in record.versions().items())}")
    print(
        f"{given.device}, {card or 'no card'}; products in {'TF32' if given.tf32 else 'float32'}",
        flush=True,
    )
    found, is_measured = [], False
    try:
        for c, results in measure(given, memory(card), out):
            found.extend(reached(c, results))
            is_measured = is_measured or any(result.rounds for result in results.values())
        goals.report(found, out, ON_A_GPU)
    finally:
        out.close()
    return 0 if is_measured else 1


if __name__ == "__main__":
    sys.exit(main())
