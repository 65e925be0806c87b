"""Sizes as names: a function is traced with primes in their place, and the code has the names.

A product of sizes has one factorization, so that the length of a loop, a stride or the size of a buffer
says which sizes it is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Dimension = str | int  # a name, or a length that is always the same

# No formula has one of these numbers. Products of three of them are exact in doubles.
PRIMES = (
    (1009, 1013, 1019, 1021, 1031, 1033, 1039, 1049, 1051, 1061, 1063, 1069, 1087, 1091, 1093, 1097),
    (2003, 2011, 2017, 2027, 2029, 2039, 2053, 2063, 2069, 2081, 2083, 2087, 2089, 2099, 2111, 2113),
)


@dataclass(frozen=True)
class Sizes:
    """The prime that stands for each size while a function is traced."""

    primes: Mapping[str, int]

    @classmethod
    def of(cls, names: Iterable[str], primes: Sequence[int]) -> Sizes:
        """Sizes with these names."""
        return cls(dict(zip(names, primes, strict=False)))

    def shape(self, dimensions: Iterable[Dimension]) -> tuple[int, ...]:
        """The shape to trace with."""
        return tuple(d if isinstance(d, int) else self.primes[d] for d in dimensions)

    def factors(self, n: int) -> tuple[int, list[str]]:
        """What `n` is without the sizes that are factors of it, and their names."""
        names = []
        for name, prime in self.primes.items():
            while n and n % prime == 0:
                n //= prime
                names.append(name)
        return n, names

    def text(self, n: int) -> str:
        """A length, a stride or an offset as a product of names."""
        rest, names = self.factors(n)
        return " * ".join([str(rest)] * (rest != 1 or not names) + names)

    def number(self, x: float) -> str | None:
        """A number of a formula that is a size, or 1 over a size, as an expression; else None.

        1 / B of a batch of B examples is such a number, and so is B.
        """
        if isinstance(x, bool) or not 0 < abs(x) < 2**53:
            return None
        for n, text in ((x, "{}"), (1 / x, "(1 / {})")):
            rest, names = self.factors(round(n))
            is_exact = round(n) == x if text == "{}" else 1 / max(round(n), 1) == x
            if rest == 1 and len(names) == 1 and is_exact:
                return text.format(names[0])
        return None
