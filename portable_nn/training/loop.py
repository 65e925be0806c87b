"""The loop around the one compiled step: epochs of mini-batches. When to end is its caller's to say."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple, NoReturn

import numpy as np

from portable_nn.backends import Backend, of
from portable_nn.equations import Array, Parameters
from portable_nn.network import Network
from portable_nn.optimizers import Optimizer, OptimizerState
from portable_nn.training.data import Data, HostData
from portable_nn.training.steps import evaluation_step, summary, training_steps

Masks = list[Array | None]
MASKED_BATCHES = 8  # whose masks are drawn and kept at a time


class Epoch(NamedTuple):
    """What an epoch has led to.

    `costs` (on the host) is the mean cost of its batches and, with validation data, their cost at its
    end; `finite` says whether the parameters are finite, one bool for each network of a stack.
    """

    params: Parameters
    optimizer_state: OptimizerState
    costs: np.ndarray[Any, Any]
    finite: np.ndarray[Any, Any]
    learning_rate: float
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Whether the costs and the parameters, of all networks of a stack, are finite."""
        return bool((self.finite & np.isfinite(self.costs)).all())


def epochs(
    backend: Backend,
    net: Network,
    optimizer: Optimizer,
    params: Parameters,
    optimizer_state: OptimizerState,
    data: Data | HostData,
    orders: Iterator[Any],
    rates: Iterator[float],
    batch_size: int,
    l2: float = 0.0,
    clip_norm: float | None = None,
    draw_masks: Callable[[int, int], Masks] | None = None,
    validation: Data | HostData | None = None,
    owns_state: bool = False,
    states_are_kept: bool = True,
    ahead: bool = False,
) -> Iterator[Epoch]:
    """An epoch for every order of the rows in `orders`, an update for every batch of them.

    `rates` gives the learning rate of each update, `draw_masks` the dropout masks for so many
    batches of a given size. The host reads from the device once an epoch; nothing handed in is changed,
    but for `optimizer_state` where `owns_state`; unless `states_are_kept`, that of an epoch is written
    over in the next. `ahead`: what the next epoch needs is sent before the read, while the device is at
    work; for data that is there already, and where no result of an epoch decides on the next.
    """
    run = training_steps(backend, net, optimizer, l2, clip_norm)
    evaluate, summarize = evaluation_step(backend, net), summary(backend)
    stack, dtype = tuple(params[0][0].shape[:-2]), params[0][0].dtype
    zero = backend.xp.zeros(stack, dtype=backend.widest_float(), device=backend.device)
    t, slots = optimizer_state
    updates = count(t + 1)

    def sent(drawn: Any) -> Iterator[tuple[Any, Array, Array, float]]:
        """Data, and for its batches the rows and the coefficients, on the device; the last rate."""
        most = MASKED_BATCHES if draw_masks else len(drawn)
        for chunk, batches in data.chunks(drawn, batch_size, most):
            alphas = [next(rates) for _ in batches]
            numbers = [optimizer.coefficients(next(updates), alpha) for alpha in alphas]
            rows = backend.asarray(batches, dtype=backend.index_dtype())
            yield chunk, rows, backend.asarray(np.asarray(numbers), dtype=dtype), alphas[-1]

    to_come = Ahead((len(drawn), list(sent(drawn)) if ahead else sent(drawn)) for drawn in orders)
    started = time.perf_counter()
    for n, portions in to_come:
        carry, owned = (params, slots, zero), (False, owns_state, False)
        for chunk, rows, numbers, alpha in portions:
            masks = None if draw_masks is None else draw_masks(*rows.shape)
            carry, owned = run(carry, chunk, (rows, masks, numbers), owned), (True, True, True)
            data.used(carry)
            t, rate = t + rows.shape[0], alpha
        (params, slots, total), owns_state = carry, not states_are_kept
        sums = [(total, n)]
        if validation is not None:
            total = evaluate_in_parts(evaluate, params, zero, validation)
            sums.append((total, validation.X.shape[-2]))
        summed = summarize(params, *sums)
        if ahead:
            to_come.prepare()
        report = backend.to_numpy(summed)  # the one read of the epoch
        costs, finite = report[:-1], report[-1].astype(bool)
        seconds = time.perf_counter() - started
        yield Epoch(params, OptimizerState(t, slots), costs, finite, rate, seconds)
        started = time.perf_counter()


class Ahead:
    """An iterator whose next item can be made before it is asked for; an error shows when it is."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items = iter(items)
        self.made: list[Callable[[], Any]] = []

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.made.pop()() if self.made else next(self.items)

    def prepare(self) -> None:
        """Make the next item, if there is one."""
        try:
            item = next(self.items)
        except Exception as error:
            self.made = [functools.partial(throw, error)]
        else:
            self.made = [lambda: item]


def throw(error: Exception) -> NoReturn:
    """Raise an error that has been kept."""
    raise error


def evaluate_in_parts(
    evaluate: Callable[..., Any],
    params: Parameters,
    zero: Array,
    data: Data | HostData,
    size: int = 1024,
) -> Array:
    """The sum of `evaluation_step` over all rows, `size` rows at a time: memory stays bounded."""
    total = zero
    for part in data.slices(size):
        total = evaluate(params, total, *part)
        data.used(total)
    return total


def predict_in_parts(predict: Callable[..., Any], params: Parameters, X: Any, size: int = 4096) -> Array:
    """The outputs of `prediction_step` for all rows, `size` rows at a time: memory stays bounded."""
    n = X.shape[-2]
    parts = [
        predict(params, X[..., start : min(start + size, n), :]) if n > size else predict(params, X)
        for start in range(0, n, size)
    ]
    return parts[0] if len(parts) == 1 else of(parts[0]).xp.concat(parts, axis=-2)


def dropout(
    backend: Backend,
    params: Parameters,
    rates: Sequence[float],
    uniform: Callable[[tuple[int, ...]], np.ndarray[Any, Any]],
) -> Callable[[int, int], Masks] | None:
    """A function that draws the masks of k batches of B rows; None where no unit is ever dropped.

    A unit of hidden layer l is dropped with the probability rates[l - 1]; what is kept is divided by
    1 - rate (Srivastava et al., 2014). Drawn on the host, so they are the same on every backend:
    ``uniform(shape)`` gives numbers in [0, 1). Each network of a stack has masks of its own.
    """
    if not any(rates):
        return None
    shapes = [tuple(W.shape[:-1]) for W, _ in params[:-1]]
    dtype = params[0][0].dtype

    def draw(k: int, B: int) -> Masks:
        kept = [  # batch after batch, and in each of them layer after layer
            [uniform((*shape, B)) >= rate for shape, rate in zip(shapes, rates, strict=True) if rate]
            for _ in range(k)
        ]
        of_layer = (np.stack(those) for those in zip(*kept, strict=True))
        return [
            backend.asarray(next(of_layer), dtype=dtype) * (1 / (1 - rate)) if rate else None
            for rate in rates
        ]

    return draw
