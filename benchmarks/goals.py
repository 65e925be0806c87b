"""What was to be reached, what was measured, and whether it was reached: one table at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from configurations import CONFIGURATIONS, Configuration
from record import Record
from tables import show, table


@dataclass(frozen=True)
class Goal:
    """A value with the bound it was to keep; `sizes` are the net's, None: of no configuration."""

    what: str
    sizes: Sequence[int] | None
    value: float | None
    bound: float | None
    at_most: bool = False

    @property
    def is_reached(self) -> bool | None:
        """None where nothing was measured, or nothing was to be reached."""
        if self.value is None or self.bound is None:
            return None
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    @property
    def cell(self) -> str:
        """The value, the bound and the verdict."""
        if self.bound is None:
            return show(self.value)
        words = {True: "reached", False: "NOT reached", None: "not measured"}
        sign = "<=" if self.at_most else ">="
        return f"{show(self.value)} ({sign} {self.bound:g}, {words[self.is_reached]})"


def report(
    goals: Iterable[Goal], record: Record, configurations: Iterable[Configuration] = CONFIGURATIONS
) -> None:
    """Print all goals, one column for each configuration and one for what has none; record them."""
    columns: list[tuple[int, ...] | None] = [*(c.sizes for c in configurations), None]
    rows: dict[str, dict[tuple[int, ...] | None, str]] = {}
    for goal in goals:
        key = None if goal.sizes is None else tuple(goal.sizes)
        rows.setdefault(goal.what, {})[key] = goal.cell
        record.write(
            "goal",
            what=goal.what,
            sizes=goal.sizes,
            value=goal.value,
            bound=goal.bound,
            is_at_most=goal.at_most,
            is_reached=goal.is_reached,
        )
    if rows:
        head = ["goal", *("-".join(map(str, sizes)) if sizes else "" for sizes in columns)]
        cells = ([what, *(found.get(key, "") for key in columns)] for what, found in rows.items())
        table("What was to be reached, all measured in this run", head, cells)
