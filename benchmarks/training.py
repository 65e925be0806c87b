"""Training throughput: samples a second, the gathering of shuffled batches included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from configurations import CONFIGURATIONS, Configuration
from goals import Goal
from record import Record
from rounds import WARM, Circumstances, Contender, Result, interleave, notes, speed_ratio
from tables import table

SKLEARN, JAX = ("sklearn",), ("jax", "optax")
FLOOR = "floor-numpy"
CONTENDERS = {
    FLOOR: Contender("floor: products, NumPy", "floor:numpy_products"),
    "floor-torch": Contender("floor: products, torch", "floor:torch_products", {}, ("torch",)),
    "numpy": Contender("ours, numpy", "ours:training", {"backend": "numpy"}),
    "numpy-plain": Contender(
        "ours, numpy without fast", "ours:training", {"backend": "numpy"}, hide=("numba",)
    ),
    "estimator": Contender("ours, MLPClassifier on numpy", "ours:estimator", {}, SKLEARN),
    "torch": Contender("ours, torch", "ours:training", {"backend": "torch"}, ("torch",)),
    "jax": Contender("ours, jax", "ours:training", {"backend": "jax"}, ("jax",)),
    "cupy": Contender("ours, cupy", "ours:training", {"backend": "cupy"}, ("cupy",), by_default=False),
    "sklearn": Contender("scikit-learn MLPClassifier", "peers:sklearn_training", {}, SKLEARN),
    "torch-module": Contender(
        "torch nn.Module, fused Adam", "peers:torch_training", {}, needs=("torch",)
    ),
    "torch-compile": Contender(
        "the same, torch.compile", "peers:torch_training", {"compiled": True}, ("torch",)
    ),
    "optax-step": Contender(
        "jax + optax, jitted step", "peers:jax_training", {"scan": False}, JAX, by_default=False
    ),
    "optax-scan": Contender("jax + optax, lax.scan", "peers:jax_training", {"scan": True}, JAX),
    "keras-jax": Contender("Keras on jax", "peers:keras_training", {"backend": "jax"}, ("keras", "jax")),
    "keras-torch": Contender(
        "Keras on torch",
        "peers:keras_training",
        {"backend": "torch"},
        ("keras", "torch"),
        by_default=False,
    ),
}
OURS = ("numpy", "torch", "jax")
IN_LONG_FITS, EPOCHS = ("jax", "optax-scan"), 20


def measure(
    configurations: Iterable[Configuration],
    names: Iterable[str],
    rounds: int,
    record: Record,
    warm: float = WARM,
) -> list[Goal]:
    """How the issue's goals are met; every configuration is printed and recorded as it comes."""
    wanted = set(names) | {FLOOR}
    contenders = {key: one for key, one in CONTENDERS.items() if key in wanted}
    found: list[Goal] = []
    for c in configurations:
        results = interleave(contenders, c, rounds, at_least=0.2, how=Circumstances(warm=warm))
        report(c, results, record)
        found.extend(goals(c, results))
        if wanted.issuperset(IN_LONG_FITS):
            found.extend(long_fits(c, rounds, record, min(warm, 2.0)))
    return found


def long_fits(c: Configuration, rounds: int, record: Record, warm: float) -> Iterator[Goal]:
    """Ours on JAX and optax in fits of 20 epochs: a short one is mostly its beginning and its end."""
    several = replace(c, epochs=EPOCHS, batches=max(4, c.batches // 4))
    pair = {key: CONTENDERS[key] for key in IN_LONG_FITS}
    how = Circumstances(warm=warm)
    results = interleave(pair, several, min(rounds, 5), at_least=0.2, how=how)
    report(several, results, record, "training in long fits", those=IN_LONG_FITS[:1])
    return goals(c, results, LONG_GOALS)


def report(
    c: Configuration,
    results: Mapping[str, Result],
    record: Record,
    suite: str = "training",
    floor: str = FLOOR,
    those: Iterable[str] = OURS,
) -> None:
    """The table of a configuration, and a line for each contender; `those` are set over all others."""
    rows = []
    for key, result in results.items():
        share = speed_ratio(results, key, floor)
        ratios = {ours: speed_ratio(results, ours, key) for ours in those}
        seconds = result.median()
        speed = None if seconds is None else c.samples / seconds
        state = result.state.split(":")[0]
        says = (speed if state == "ok" else state, share, *ratios.values(), result.first_call)
        rows.append((result.label, *says))
        record.write(
            suite,
            configuration=c.name,
            sizes=c.sizes,
            batch=c.batch,
            samples_per_round=c.samples,
            contender=key,
            label=result.label,
            state=result.state,
            samples_per_second=None if speed is None else round(speed),
            of_the_floor=share,
            ours_over_it=ratios,
            first_call_seconds=result.first_call,
            seconds=result.all(),
            cost=result.rounds[-1].get("cost") if result.rounds else None,
            pools=result.about.get("pools", []),
            settings=result.about.get("settings", {}),
        )
    rounds = max(len(result.rounds) for result in results.values())
    head = ["training", "samples/s", "of the floor", *(f"{o} over it" for o in those), "first call, s"]
    table(
        f"{c.name}: medians of {rounds} rounds of {c.samples:,} samples",
        head,
        rows,
        notes(results),
    )


Goals = Mapping[str, tuple[str, str, Sequence[float | None]]]
GOALS: Goals = {  # one over the other: at least, in the order of CONFIGURATIONS; None: no goal was set
    "NumPy / scikit-learn": ("numpy", "sklearn", (3.0, 7.0, 2.1)),
    "NumPy / torch, fused Adam": ("numpy", "torch-module", (1.3, 5.0, 1.0)),
    "NumPy / floor": ("numpy", FLOOR, (0.78, None, 0.88)),
    "torch / torch, fused Adam": ("torch", "torch-module", (1.4, 7.0, 1.05)),
    "MLPClassifier.fit / pnn.fit": ("estimator", "numpy", (0.9, 0.9, 0.9)),
    "NumPy without fast / scikit-learn": ("numpy-plain", "sklearn", (3.0, 3.0, 1.8)),
    "NumPy without fast / torch, fused Adam": ("numpy-plain", "torch-module", (1.3, 5.0, 1.0)),
    "NumPy without fast / floor": ("numpy-plain", FLOOR, (0.75, None, 0.85)),
}
LONG_GOALS: Goals = {
    f"JAX / jax + optax, lax.scan, fits of {EPOCHS} epochs": (*IN_LONG_FITS, (1.0, 1.1, 1.0))
}


def goals(c: Configuration, results: Mapping[str, Result], those: Goals = GOALS) -> Iterator[Goal]:
    """What was to be reached in this configuration, and what was."""
    column = [one.sizes for one in CONFIGURATIONS].index(c.sizes)
    for what, (one, other, bounds) in those.items():
        if one in results and other in results:
            yield Goal(what, c.sizes, speed_ratio(results, one, other), bounds[column])
