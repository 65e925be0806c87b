"""Many networks at once on a GPU: a stack in one `pnn.fit`, beside one network after another and peers.

python benchmarks/gpu_stacks.py --device cuda --out results.jsonl --log workers.log
python benchmarks/gpu_stacks.py --device cpu --quick        # whether it runs

All networks of a stack have the sizes of a configuration, the same rows and the same batches, and
parameters of their own. A speed is rows times networks in a second.
"""

# ruff: noqa: PLC0415  (a library is imported in the process that measures it, and in no other)
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import gpu
import numpy as np
import record
from configurations import TINY, Configuration
from goals import Goal, report
from rounds import Circumstances, Contender, Result, interleave, notes, speed_ratio
from tables import table

SIZES = (16, 64, 256, 1024)  # how many networks
LOOPED = 4  # networks of a round of the loop, whose time is proportional to their number
NET = replace(TINY, batches=200)
GOALS = {("stack", "loop", 256): 50.0, ("stack", "torch-func", 256): 1.0}


def torch_ensemble(
    c: Configuration, networks: int, device: str, is_captured: bool = False
) -> Callable[[], dict[str, Any]]:
    """torch.func, as its tutorial on ensembles has it: vmap over grad of functional_call; fused Adam."""
    import torch
    from peers import torch_module
    from torch.func import functional_call, grad_and_value, stack_module_state, vmap
    from torch.nn import functional
    from torch_graph import captured, epochs

    torch.manual_seed(0)
    modules = [torch_module(c.sizes).to(device) for _ in range(networks)]
    state, buffers = stack_module_state(modules)
    state = {name: value.detach() for name, value in state.items()}
    X, labels = (torch.from_numpy(array).to(device) for array in c.data())
    optimizer = torch.optim.Adam(list(state.values()), lr=1e-3, fused=True, capturable=device != "cpu")
    x, y = X[: c.batch].clone(), labels[: c.batch].clone()
    total = torch.zeros((), device=device)

    def cost(one: Any, x: Any, y: Any) -> Any:
        return functional.cross_entropy(functional_call(modules[0], (one, buffers), (x,)), y)

    gradients_of = vmap(grad_and_value(cost), in_dims=(0, None, None))

    def step() -> None:
        gradients, costs = gradients_of(state, x, y)
        for name, value in state.items():
            value.grad = gradients[name]
        optimizer.step()
        total.add_(costs.mean())

    one = captured(step, device) if is_captured else step
    return epochs(c, one, (X, labels), (x, y), total)


def jax_ensemble(c: Configuration, networks: int, device: str) -> Callable[[], dict[str, Any]]:
    """jax + optax: vmap over the networks, an epoch under `lax.scan`, buffers donated."""
    import jax
    import jax.numpy as jnp
    import optax
    from peers import jax_step

    jax.config.update("jax_default_device", jax.devices(device)[0])
    random, optimizer = np.random.default_rng(0), optax.adam(1e-3)
    params = [
        (
            jnp.asarray(random.normal(size=(networks, k, m)) * np.sqrt(2 / k), jnp.float32),
            jnp.zeros((networks, m), jnp.float32),
        )
        for k, m in pairwise(c.sizes)
    ]
    X, labels = map(jnp.asarray, c.data())

    step = jax_step(optimizer)

    def epoch(state: Any, X: Any, labels: Any, order: Any) -> Any:
        every = jax.vmap(step, in_axes=(0, None, None))
        return jax.lax.scan(lambda s, rows: (every(s, X[rows], labels[rows]), None), state, order)[0]

    one = jax.jit(epoch, donate_argnums=0)
    state = [params, jax.vmap(optimizer.init)(params)]

    def run() -> dict[str, Any]:
        for _ in range(c.epochs):
            order = jnp.asarray(random.permutation(c.n).reshape(-1, c.batch), jnp.int32)
            now = one((*state, jnp.zeros(networks, jnp.float32)), X, labels, order)
            mean = float(now[2].mean()) / len(order)
            state[:] = jax.block_until_ready(now)[:2]
        return {"cost": mean}

    return run


HERE = "gpu_stacks"


def contenders(device: str, networks: int) -> dict[str, Contender]:
    """Who takes part: ours on CuPy, on the CPU on NumPy."""
    library = "cupy" if device == "cuda" else "numpy"
    place = {"networks": networks, "device": device}
    found = {
        "stack": Contender(
            f"ours, {library}, a stack",
            "ours:training",
            {"backend": library, "stack": [networks]},
            (library,),
        ),
        "loop": Contender(
            "ours, one after another", "ours:training", {"backend": library, "times": LOOPED}, (library,)
        ),
        "torch-func": Contender("torch.func", f"{HERE}:torch_ensemble", place, ("torch",)),
        "torch-func-graph": Contender(
            "torch.func, captured by hand",
            f"{HERE}:torch_ensemble",
            place | {"is_captured": True},
            ("torch",),
        ),
        "jax": Contender("jax.vmap + optax, lax.scan", f"{HERE}:jax_ensemble", place, ("jax", "optax")),
    }
    return {key: replace(one, is_first_at_once=True) for key, one in found.items()}


def main() -> int:
    """Measure stacks of each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="small: whether it runs, not how fast")
    parser.add_argument("--out", metavar="FILE.jsonl", help="where the results go, a line each")
    parser.add_argument("--log", metavar="FILE", help="where the workers' tracebacks go")
    parser.add_argument("--rounds", type=int, default=5, help="5")
    parser.add_argument("--networks", type=int, nargs="+", default=list(SIZES), help="how many")
    given = parser.parse_args()
    cards = record.cards() if given.device == "cuda" else []
    out = record.Record(given.out, cards[0]["name"] if cards else None, cards=cards, device=given.device)
    how = Circumstances(gpu.SHARED | gpu.PRECISION[False], 0.3, gpu.PATIENCE, given.log)
    c = replace(NET, batches=5) if given.quick else NET
    sizes = given.networks[:1] if given.quick else given.networks
    rows: list[tuple[Any, ...]] = []
    goals, all_notes = [], []
    for networks in sizes:
        those = contenders(given.device, networks)
        rounds = 1 if given.quick else given.rounds
        results = interleave(those, c, rounds, at_least=0.05, how=how, at_once=True)
        scale_the_loop(results, networks)
        for key, result in results.items():
            seconds, over = result.median(), speed_ratio(results, "stack", key)
            speed = None if seconds is None else c.samples * networks / seconds
            rows.append((f"{networks}: {result.label}", speed, over))
            out.write(
                "stacks",
                configuration=c.name,
                networks=networks,
                contender=key,
                label=result.label,
                state=result.state,
                samples_per_second=speed,
                stack_over_it=over,
                seconds=result.all(),
                cost=result.rounds[-1].get("cost") if result.rounds else None,
                settings=result.about.get("settings", {}),
            )
        all_notes += [f"{networks}: {note}" for note in notes(results)]
        goals += [
            Goal(f"{one} / {other}, {n} networks", None, speed_ratio(results, one, other), bound)
            for (one, other, n), bound in GOALS.items()
            if n == networks
        ]
    head = ["networks", "samples x networks / s", "stack over it"]
    table(f"{c.name}, {c.samples:,} rows a round", head, rows, all_notes)
    report(goals, out, ())
    out.close()
    return 0


def scale_the_loop(results: dict[str, Result], networks: int) -> None:
    """Give the loop the seconds of all networks, of which its rounds train a few."""
    for one in results["loop"].rounds:
        one["seconds"] *= networks / LOOPED


if __name__ == "__main__":
    sys.exit(main())
