"""Training steps with each part beside dense layers, over torch's: a script of its own.

python benchmarks/layers.py [--out FILE.jsonl] [--part batch layer ...] [--contender numpy torch ...]

Samples a second of `pnn.fit` on NumPy and on torch, over nn.Module with fused Adam, eager and by
torch.compile; float32, rounds in turns. For the embedding of 1e6 categories also the memory, and SGD.
"""

from __future__ import annotations

import argparse

from configurations import quick
from parts import PARTS
from record import Record, versions
from rounds import Circumstances, Contender, interleave, notes, speed_ratio
from tables import table

CONTENDERS = {
    "numpy": Contender("ours, numpy", "parts:ours", {"backend": "numpy"}),
    "torch": Contender("ours, torch", "parts:ours", {"backend": "torch"}, ("torch",)),
    "module": Contender("torch nn.Module, fused", "parts:theirs", {}, ("torch",)),
    "compile": Contender("the same, torch.compile", "parts:theirs", {"compiled": True}, ("torch",)),
}
# SGD without momentum changes the picked vectors alone: torch's sparse gradients are for that
SPARSE = Contender("the same, sparse gradients", "parts:theirs", {"sparse": True}, ("torch",))
HEAD = ("contender", "samples/s", "ours, numpy, over it", "ours, torch, over it", "memory, MB", "J")


def measure(name: str, optimizer: str, given: argparse.Namespace, record: Record) -> None:
    """The rounds of one part: its table, and a line for each contender."""
    part = PARTS[name]
    c = quick((part.c,))[0] if given.quick else part.c
    contenders = {key: one for key, one in CONTENDERS.items() if key in given.contender}
    if optimizer == "sgd":
        contenders = {k: one for k, one in contenders.items() if k != "compile"} | {"sparse": SPARSE}
    how = Circumstances(warm=1.0 if given.quick else given.warm, log=given.log)
    chosen = {"part": name, "optimizer": optimizer}
    results = interleave(contenders, c, given.rounds, at_least=0.2, how=how, **chosen)
    rows = []
    for key, result in results.items():
        seconds, risen = result.median(), result.median("bytes")
        speed = None if seconds is None else c.samples / seconds
        ratios = {ours: speed_ratio(results, ours, key) for ours in ("numpy", "torch")}
        cost = result.rounds[-1]["cost"] if result.rounds else None
        rows.append((result.label, speed, *ratios.values(), risen and risen / 1e6, cost))
        record.write(
            "layers",
            part=name,
            title=part.title,
            configuration=c.name,
            optimizer=optimizer,
            samples_per_round=c.samples,
            contender=key,
            label=result.label,
            state=result.state,
            samples_per_second=None if speed is None else round(speed),
            ours_over_it=ratios,
            first_call_seconds=result.first_call,
            seconds=result.all(),
            bytes_over_data_and_parameters=risen,
            cost=cost,
            pools=result.about.get("pools", []),
        )
    title = f"{part.title}, {optimizer}: {c.name}, medians of {given.rounds} rounds"
    table(title, HEAD, rows, notes(results))


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small: whether it runs, not how fast")
    parser.add_argument("--out", metavar="FILE.jsonl", help="where the results go, a line each")
    parser.add_argument("--log", metavar="FILE", help="where what the contenders print goes")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--warm", type=float, default=8.0, help="seconds before any round counts; 8")
    parser.add_argument("--part", nargs="+", choices=tuple(PARTS), default=list(PARTS), metavar="NAME")
    parser.add_argument(
        "--contender", nargs="+", choices=tuple(CONTENDERS), default=list(CONTENDERS), metavar="NAME"
    )
    given = parser.parse_args()
    record = Record(given.out)
    print(f"{record.short}; {', '.join(f'{k} {v}' for k, v in versions().items())}")
    try:
        for name in given.part:
            for optimizer in ("adam", "sgd") if name == "million" else ("adam",):
                measure(name, optimizer, given, record)
    finally:
        record.close()


if __name__ == "__main__":
    main()
