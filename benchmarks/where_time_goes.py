"""Where the time of one training step on NumPy goes: products, gather, update, activations, loss, calls.

python benchmarks/where_time_goes.py [--plain]

Each line of the program that the step becomes is timed (which takes 0.1 us a line itself), and is
put down to what it does. `--plain`: without compiled loops.
"""

from __future__ import annotations

import argparse
import builtins
import time
from collections import defaultdict
from typing import Any

from configurations import CONFIGURATIONS, one_hot
from ours import network

import portable_nn as pnn
from portable_nn.compiler.numpy import codegen, program

WARM = 3.0  # seconds of training before any counts
spent: dict[str, list[float]] = defaultdict(list)


def timed(text: str, *rest: Any) -> Any:
    """The program's source compiled, each of its lines between two looks at the clock."""
    lines: list[str] = []
    for line in text.split("\n"):
        is_step = line.startswith(" " * 12) and not line.startswith(" " * 13)
        if is_step:
            lines.append(f"{' ' * 12}_look({line.strip()!r})")
        lines.append(line)
        if line.startswith("    return") and "_look" in "".join(lines):
            lines.insert(-1, f"{' ' * 12}_look('')")
    return builtins.compile("\n".join(lines), *rest)


class Looks:
    """Puts the time since the last look down to the line before it."""

    def __init__(self) -> None:
        self.line, self.at = "", 0.0

    def __call__(self, line: str) -> None:
        now = time.perf_counter()
        if self.line:
            spent[self.line].append(now - self.at)
        self.line, self.at = line, time.perf_counter()


def kind(line: str, parameters: set[int]) -> str:
    """What a line of the program does."""
    if line.startswith("product"):
        return "products"
    if line.startswith("take_rows"):
        return "gather"
    if line.startswith("reduce"):
        return "sums and maxima"
    sizes = {int(part) for part in line.replace(")", "_").replace(",", "_").split("_") if part.isdigit()}
    return "update" if sizes & parameters and "i" in line else "elementwise"


def main() -> None:
    """A table for each configuration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain", action="store_true")
    if parser.parse_args().plain:
        program.PATIENCE = (float("inf"), float("inf"))
    builtins._look = Looks()  # type: ignore[attr-defined]
    codegen.compile = timed  # type: ignore[attr-defined]
    for c in CONFIGURATIONS:
        net, (X, labels) = network(c), c.data()
        params, Y = net.initialize(seed=0), one_hot(labels, c.sizes[-1])
        start = time.perf_counter()
        while time.perf_counter() - start < WARM:
            pnn.fit(net, params, X, Y, pnn.Adam(), epochs=1, batch_size=c.batch)
        spent.clear()
        pnn.fit(net, params, X, Y, pnn.Adam(), epochs=3, batch_size=c.batch)
        sizes = {a.size for layer in params for a in layer}
        sums: dict[str, float] = defaultdict(float)
        counts: dict[str, int] = defaultdict(int)
        steps = max(len(times) for times in spent.values())
        for line, times in spent.items():
            sums[kind(line, sizes)] += sum(times) / steps
            counts[kind(line, sizes)] += 1
        total = sum(sums.values())
        print(f"\n{c.name}: {1e6 * total:,.0f} us a step")
        for name, seconds in sorted(sums.items(), key=lambda item: -item[1]):
            print(f"  {name:16} {1e6 * seconds:10,.1f} us {seconds / total:6.1%} {counts[name]:4} calls")


if __name__ == "__main__":
    main()
