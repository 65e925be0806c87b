"""A table as the rows of numbers that a network takes; what is needed for it, learned from rows.

Numbers are centred at their median, divided by the distance of their quartiles, and bent so that no
value is beyond 3: x / sqrt(1 + (x/3)^2). Categories of few levels are one-hot, others are codes, for an
`Embedding`.

Holzmueller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on
tabular data", 2024.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from portable_nn.tabular.columns import (
    MISSING,
    Categories,
    Column,
    Columns,
    Host,
    Numbers,
    categories_of_numbers,
)

BEND = 3.0  # the largest value
FARTHEST = 1e9  # from the median, in distances of quartiles: what is farther is as if there
MOST_ONE_HOT = 9  # levels
FEWEST_NEW = 10  # rows whose categories are all new: with fewer that may well be
TWICE = 2  # how often a level of many has to be seen to have a vector of its own


@dataclass(frozen=True)
class NumberCode:
    """How a column of numbers is encoded; `has_gaps`: some were missing, which has a unit of its own."""

    column: int
    center: float
    scale: float
    has_gaps: bool


@dataclass(frozen=True)
class CategoryCode:
    """How a column of categories is encoded.

    `levels` have the codes 1, 2, ...; then comes that of a missing value, where there were some; 0 is
    any other level.
    """

    column: int
    levels: tuple[str, ...]
    has_gaps: bool
    is_one_hot: bool

    @property
    def count(self) -> int:
        """The number of codes."""
        return 1 + len(self.levels) + self.has_gaps

    @property
    def units(self) -> int:
        """How many numbers of a row are about it."""
        units = self.count - 1
        return 1 if not self.is_one_hot or units == 2 else units

    def codes(self, column: Categories) -> Host:
        """The code of each row."""
        known = {level: code for code, level in enumerate(self.levels, start=1)}
        of_levels = [known.get(level, 0) for level in column.levels]
        found: Host = np.asarray([*of_levels, self.count - 1 if self.has_gaps else 0])[column.codes]
        return found

    def one_hot(self, column: Categories) -> Host:
        """A unit for each code but 0; of two codes one unit, 1 or -1."""
        rows = np.eye(self.count, dtype=np.float32)[self.codes(column)][:, 1:]
        return rows[:, :1] - rows[:, 1:] if self.units == 1 else rows


@dataclass(frozen=True)
class Encoding:
    """What makes rows of numbers of a table: first those of numbers, last the codes."""

    numbers: tuple[NumberCode, ...]
    categories: tuple[CategoryCode, ...]
    is_number: tuple[bool, ...]  # of each column of the table
    twice: bool = False

    @property
    def embedded(self) -> tuple[CategoryCode, ...]:
        """The columns that become codes."""
        return tuple(each for each in self.categories if not each.is_one_hot)

    @property
    def gaps(self) -> int:
        """How many columns of numbers have a unit for what is missing."""
        return sum(each.has_gaps for each in self.numbers)

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        of_categories = sum(each.units for each in self.categories)
        return max(1, len(self.numbers) * (1 + self.twice) + self.gaps + of_categories)

    def __call__(self, columns: Columns) -> Host:
        """The rows, (n, n_0) float32; at least one unit."""
        n = len(rows_of(columns[0]))
        parts = [*self._numbers(columns), *self._one_hot(columns)]
        parts += [each.codes(categories(columns[each.column]))[:, None] for each in self.embedded]
        if not parts:  # nothing in the table says anything
            return np.zeros((n, 1), np.float32)
        return np.concatenate([part.astype(np.float32, copy=False) for part in parts], axis=1)

    def _numbers(self, columns: Columns) -> list[Host]:
        if not self.numbers:
            return []
        V = np.stack([numbers(columns[each.column]) for each in self.numbers], axis=1)
        is_gap = np.isnan(V)
        center = np.asarray([each.center for each in self.numbers])
        scale = np.asarray([each.scale for each in self.numbers])
        with np.errstate(over="ignore", invalid="ignore"):
            Z = np.clip((V - center) / scale, -FARTHEST, FARTHEST)
        bent = np.where(is_gap, 0.0, Z / np.sqrt(1 + (Z / BEND) ** 2))
        flags = is_gap[:, [each.has_gaps for each in self.numbers]]
        found = [bent, bent] if self.twice else [bent]
        return [*found, flags] if flags.shape[1] else found

    def _one_hot(self, columns: Columns) -> list[Host]:
        each = [code for code in self.categories if code.is_one_hot]
        return [code.one_hot(categories(columns[code.column])) for code in each]


def rows_of(column: Column) -> Host:
    """What a column has for each row."""
    return column.values if isinstance(column, Numbers) else column.codes


def numbers(column: Column) -> Host:
    """The values of a column of numbers, which may be empty and so look like categories."""
    return column.values if isinstance(column, Numbers) else np.full(len(column.codes), np.nan)


def categories(column: Column) -> Categories:
    """A column of categories, whose names may all be numbers now."""
    return categories_of_numbers(column.values) if isinstance(column, Numbers) else column


def learn_encoding(columns: Columns, twice: bool) -> Encoding:
    """What is learned from the rows of `columns`; `twice`: numbers are to come a second time."""
    is_number = [isinstance(each, Numbers) for each in columns]
    of_numbers = [j for j, one in enumerate(is_number) if one]
    others = [j for j, one in enumerate(is_number) if not one]
    of_categories = [category_code(j, categories(columns[j])) for j in others]
    return Encoding(
        tuple(number_codes([numbers(columns[j]) for j in of_numbers], of_numbers)),
        tuple(each for each in of_categories if each.count > 1 + each.is_one_hot),  # one says nothing
        tuple(is_number),
        twice,
    )


def left_out(encoding: Encoding, columns: dict[str, Column]) -> list[str]:
    """The columns of many categories that are left out, because hardly any of them comes twice."""
    used = {each.column for each in encoding.categories}
    return [
        f"{name} ({len(column.levels)} categories, such as {column.levels[0]!r})"
        for j, (name, column) in enumerate(columns.items())
        if j not in used and isinstance(column, Categories) and len(column.levels) > MOST_ONE_HOT
    ]


def all_new(encoding: Encoding, columns: dict[str, Column]) -> list[str]:
    """The columns of categories of which none is known, in some rows."""
    found, names = [], list(columns)
    for each in encoding.categories:
        column = categories(columns[names[each.column]])
        known = column.codes[column.codes != MISSING]
        if len(known) >= FEWEST_NEW and not each.codes(column)[column.codes != MISSING].any():
            found.append(f"{names[each.column]} ({column.levels[0]!r}, ...)")
    return found


def number_codes(values: list[Host], positions: list[int]) -> list[NumberCode]:
    """The codes of columns of numbers; a column of one value says nothing, unless some are missing."""
    found = []
    for column, one in zip(positions, values, strict=True):
        known = one[~np.isnan(one)]
        has_gaps = 0 < len(known) < len(one)
        low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
        if low == high and not has_gaps:
            continue
        center, scale = 2 * float(np.median(known / 2)), spread_of(known, low, high)
        found.append(NumberCode(column, center, scale, has_gaps))
    return found


def spread_of(known: Host, low: float, high: float) -> float:
    """The distance of the quartiles; half of the range where that is 0; 1 where both are."""
    with np.errstate(over="ignore"):
        distance = float(np.subtract(*np.quantile(known, [0.75, 0.25])))
        half = float(high / 2 - low / 2)
    found = distance if 0 < distance < np.inf else half
    return found if found > np.finfo(np.float64).tiny else 1.0


def category_code(column: int, given: Categories) -> CategoryCode:
    """The code of a column of categories, by how often its levels occur."""
    counts = Counter(given.codes.tolist())
    has_gaps = counts.pop(MISSING, 0) > 0
    seen = sorted(given.levels[code] for code in counts)
    is_one_hot = len(seen) + has_gaps <= MOST_ONE_HOT
    if not is_one_hot:
        seen = sorted(given.levels[code] for code, count in counts.items() if count >= TWICE)
    return CategoryCode(column, tuple(seen), has_gaps, is_one_hot)


def check_alike(encoding: Encoding, columns: dict[str, Column]) -> None:
    """Raise ValueError where a column of numbers has become one of names."""
    for (name, column), is_number in zip(columns.items(), encoding.is_number, strict=True):
        if is_number and isinstance(column, Categories) and column.levels:
            raise ValueError(
                f"{name} holds {column.levels[0]!r}, and held numbers when the estimator was fitted; "
                "accepted: numbers"
            )


def as_values(encoding: Encoding) -> dict[str, Any]:
    """The encoding as plain values."""
    return {
        "numbers": [asdict(each) for each in encoding.numbers],
        "categories": [asdict(each) | {"levels": list(each.levels)} for each in encoding.categories],
        "is_number": list(encoding.is_number),
        "twice": encoding.twice,
    }


def from_values(values: dict[str, Any]) -> Encoding:
    """The encoding that `as_values` has made plain."""
    categories = [each | {"levels": tuple(each["levels"])} for each in values["categories"]]
    return Encoding(
        tuple(NumberCode(**each) for each in values["numbers"]),
        tuple(CategoryCode(**each) for each in categories),
        tuple(values["is_number"]),
        values["twice"],
    )
