"""Tables in plain text, which are Markdown's too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def show(value: Any) -> str:
    """A number with three digits that count; what is not there as a dash."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def table(
    title: str, head: Sequence[str], rows: Iterable[Sequence[Any]], notes: Iterable[str] = ()
) -> None:
    """Print a table, its first column to the left and the others to the right, and notes under it."""
    cells = [list(head), *([show(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    print(f"\n{title}\n")
    for number, row in enumerate(cells):
        texts = [
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("| " + " | ".join(texts) + " |")
        if number == 0:
            print(
                "|"
                + "|".join("-" * (width + 1) + (":" if i else "-") for i, width in enumerate(widths))
                + "|"
            )
    print(*("", *notes), sep="\n", flush=True)
