"""Repeated calls on JAX: what a call with something not seen before takes over the same call again."""

from __future__ import annotations

from configurations import Configuration
from goals import Goal
from record import Record
from repeated_calls import FIRST
from rounds import Contender, interleave, notes
from tables import table

NET = Configuration((20, 32, 3), batch=32, batches=32, epochs=5, rows=1000)
JAX = Contender("ours, jax", "repeated_calls:calls", {}, ("jax", "sklearn"))
MOST = 0.05  # seconds that a call may take over an equal one


def measure(record: Record) -> list[Goal]:
    """One process, one call after the other; the goal is for the slowest of those that are alike."""
    result = interleave({"jax": JAX}, NET, 1, warm_up=0)["jax"]
    calls = result.rounds[0]["calls"] if result.rounds else []
    rows, over = [], {}
    for one in calls:
        more = one["seconds"] - one["again"]
        numbers = (one["seconds"], one["again"], more, one["compilations"], one["compiling"])
        rows.append((one["what"], one["value"], *numbers))
        over.setdefault(one["what"], []).append(more)
    record.write(
        "repeated", sizes=NET.sizes, batch=NET.batch, epochs=NET.epochs, state=result.state, calls=calls
    )
    head = ["", "with", "s", "s, the same again", "s more", "compilations", "s, those alone"]
    table(f"{NET.name}: calls on JAX, {NET.epochs} epochs a fit", head, rows, notes({"jax": result}))
    goals = []
    for what, seconds in over.items():
        bound = None if what in FIRST else MOST
        goals.append(Goal(f"JAX, {what}: s over an equal one", None, max(seconds), bound, at_most=True))
    return goals
