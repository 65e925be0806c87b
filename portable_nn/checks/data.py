"""Data that a user hands in: X, Y and weights, in rows that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from portable_nn.backends import Backend
from portable_nn.backends.padding import as_column
from portable_nn.checks.arrays import is_whole
from portable_nn.equations import Array, Loss

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Given:
    """X (n, n_0), Y (n, n_L) and weights (n,), as the user passed them; or those of each network.

    Without `has_targets` there is no Y, as for a prediction. `prefix` tells one data set from another in
    messages: "validation ", say. Of data on the host the values of a `part` are checked, see
    `equal_part`: several processes check a part each.
    """

    X: Array
    Y: Array | None = None
    sample_weight: Array | None = None
    prefix: str = ""
    has_targets: bool = True
    part: tuple[int, int] = (0, 1)

    @property
    def names(self) -> tuple[str, str, str]:
        """What messages call X, Y and the weights."""
        return self.prefix + "X", self.prefix + "Y", self.prefix + "sample_weight"

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays that were given, by name; Y where there has to be one, if it is None too."""
        x, y, w = self.names
        found = {x: self.X}
        if self.has_targets:
            found[y] = self.Y  # type: ignore[assignment]  # the check of its owner refuses None
        if self.sample_weight is not None:
            found[w] = self.sample_weight
        return found

    def n_classes(self, loss: Loss, n_outputs: int) -> int:
        """How many classes Y (n, 1) has indices of; 0 if it has rows of numbers."""
        if not self.has_targets or loss.targets != "distribution" or n_outputs == 1:
            return 0
        is_column = self.Y.shape[-1:] == (1,) and is_whole(self.Y)  # type: ignore
        return n_outputs if is_column else 0

    def in_rows(self, backend: Backend, loss: Loss, n_outputs: int, stack: Shape) -> Given:
        """The same with Y as a column, where one integer or boolean a row has a meaning for the loss.

        `backend` is that of Y. They are indices of classes, or "yes" and "no" of a single output.
        """
        has_meaning = loss.targets == ("distribution" if n_outputs > 1 else "unit interval")
        if not (has_meaning and self.has_targets and is_whole(self.Y)):  # type: ignore[arg-type]
            return self
        shape, n = tuple(self.Y.shape), tuple(self.X.shape[-2:-1])  # type: ignore[union-attr]
        if shape == (*n, n_outputs) or shape[-1:] != n or not suits_stack(shape[:-1], stack):
            return self
        return replace(self, Y=as_column(backend, self.Y))

    def check_shapes(self, sizes: Sequence[int], stack: Shape, loss: Loss) -> None:
        """Raise ValueError unless the shapes suit a network of these sizes, and one another."""
        x, y, w = self.names
        n = check_rows(x, self.X, sizes[0], stack)
        if self.has_targets:
            width = 1 if self.n_classes(loss, sizes[-1]) else sizes[-1]
            check_rows(y, self.Y, width, stack, n, loss.targets)  # type: ignore[arg-type]
        if self.sample_weight is not None:
            check_weights(w, self.sample_weight, n, stack)


def equal_part(n: int, k: int, count: int) -> slice:
    """The k-th of `count` parts of n rows: each is as long as the others, or longer by one row."""
    return slice(n * k // count, n * (k + 1) // count)


def suits_stack(lead: Shape, stack: Shape) -> bool:
    """Whether data with these axes before its own is that of a stack: none, or as many, some of them 1.

    Networks along an axis of 1 share what they learn from.
    """
    return not lead or (
        len(lead) == len(stack) and all(a in (1, k) for a, k in zip(lead, stack, strict=True))
    )


def check_rows(
    name: str, array: Array, width: int, stack: Shape, n: int | None = None, targets: str = ""
) -> int:
    """The number of rows of `array`: (n, width), or that for every network of the stack.

    `targets` says which targets have a meaning, where the array holds some.
    """
    shape = tuple(array.shape)
    is_matrix = len(shape) >= 2 and shape[-1] == width and n in (None, shape[-2])
    if is_matrix and suits_stack(shape[:-2], stack):
        if shape[-2] == 0:
            raise ValueError(f"`{name}` has shape {shape}; accepted: at least one row")
        return int(shape[-2])
    count = "n_samples" if n is None else n
    stacked = ", ".join(map(str, (*stack, count, width)))
    accepted = f"({count}, {width})" + (f" or ({stacked})" if stack else "")
    if targets == "distribution" and width > 1:
        accepted += f", or ({count},) for the indices of classes, as integers"
    elif targets == "unit interval" and width == 1:
        accepted += f", or ({count},) for integers or booleans"
    hint = ""
    if len(shape) == 1 and name.endswith("X"):
        hint = "; for one example: X.reshape(1, -1)"
    elif len(shape) == 1 and width == 1:
        hint = f"; for one output: {name}[:, None]"
    raise ValueError(f"`{name}` has shape {shape}; accepted: {accepted}{hint}")


def check_weights(name: str, array: Array, n: int, stack: Shape) -> None:
    """Raise ValueError unless `array` has one weight per row: (n,), or that for every network."""
    shape = tuple(array.shape)
    if shape[-1:] != (n,) or not suits_stack(shape[:-1], stack):
        accepted = f"({n},)" + (f" or {(*stack, n)}" if stack else "")
        raise ValueError(f"`{name}` has shape {shape}; accepted: {accepted}, one weight per row")
