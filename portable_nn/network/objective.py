"""The objective of training: the cost of a batch and its gradients, for rows.

Pure: arrays in, arrays out, no look at a value. The turn into the columns of the equations is one `.mT`
view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from portable_nn.equations import (
    Activation,
    Array,
    Loss,
    Namespace,
    Parameters,
    cost,
    output_delta,
    squared_norm,
)
from portable_nn.layers import Model
from portable_nn.layers.chain import Masks
from portable_nn.network.user_functions import user_defined, user_functions_of


class Batch(NamedTuple):
    """X (..., B, n_0) and Y (..., B, n_L), in rows, and their weights w (..., B), if they have any.

    `mean_weight` is what the weights are relative to: the mean over the data that the batch is drawn
    from; None stands for the batch's own mean. With `classes`, the numbers 0..n_L-1, Y (..., B, 1) has
    the index of each row's class. X and Y may be integers or booleans.

    Of a batch that has been filled up only the first `counted` rows count; see `masked`. Where several
    processes have each a part of a batch, `whole` is the number of rows in all of it, an array of no
    axis: J and the gradients are then what the part adds to those of the whole batch.
    """

    X: Array
    Y: Array
    weight: Array | None = None
    mean_weight: Array | None = None
    classes: Array | None = None
    counted: Array | None = None
    whole: Array | None = None

    @property
    def B(self) -> Any:
        """How many rows count."""
        return self.X.shape[-2] if self.counted is None else self.counted

    @property
    def share(self) -> Any:
        """Which share of its rows counts: 1, unless it has been filled up."""
        return 1 if self.counted is None else self.counted / self.X.shape[-2]

    @property
    def part(self) -> Any:
        """Which part these rows are of a batch that several processes share."""
        return self.X.shape[-2] / self.whole  # type: ignore[operator]

    def masked(self, xp: Namespace, dtype: Any) -> Batch:
        """The batch with weights by which the rows that it was filled up with count for nothing."""
        if self.counted is None:
            return self
        counts = xp.astype(xp.arange(self.X.shape[-2], dtype=dtype) < self.counted, dtype)
        if self.weight is None:
            return self._replace(weight=counts, mean_weight=self.share)
        mean = self.mean_weight  # made that of all rows, those that fill up included
        return self._replace(
            weight=counts * self.weight, mean_weight=None if mean is None else mean * self.share
        )

    def one_hot(self, xp: Namespace) -> Array:
        """Rows (..., B, n_L) of booleans, from class indices: True for the class of the row."""
        hits: Array = xp.astype(self.Y, self.classes.dtype) == self.classes  # type: ignore[union-attr]
        return hits

    def in_floats(self, xp: Namespace, params: Parameters) -> Batch:
        """The batch in the dtype of the parameters, class indices as one-hot rows."""
        dtype = params[0][0].dtype
        Y = self.Y if self.classes is None else self.one_hot(xp)
        return self._replace(X=as_dtype(xp, self.X, dtype), Y=as_dtype(xp, Y, dtype))


@dataclass(frozen=True)
class Objective:
    """J of a batch: (1/B) sum_i w_i/w L_i + l2/(2 B w) sum_l ||W[l]||^2, w being the mean weight.

    With the batch's own mean J is sum_i w_i L_i / sum_i w_i + l2/(2 sum_i w_i) sum_l ||W[l]||^2, or the
    penalty l2/(2B) alone where all of the batch's own weights are zero. Without weights, all are 1.

    `l2` is None (no penalty), a number, or an array: of no axis, or (*stack, 1, 1).

    Gradients, and the cost beside them, are those of targets of which the share `smoothing` is spread
    evenly: over the classes, or over "yes" and "no" where an output is a class of its own.
    """

    model: Model
    loss: Loss
    smoothing: float = 0.0

    @property
    def output(self) -> Activation:
        """The activation of the output layer."""
        return self.model.g[-1]

    @property
    def user_functions(self) -> tuple[Callable[..., Array], ...] | None:
        """Those of its functions that are user-defined; None where they may change, in a subclass."""
        loss, theirs = self.loss, user_functions_of(self.model)
        if type(loss) is not Loss or theirs is None:
            return None
        return (*user_defined(loss.value, loss.derivative, loss.value_from_Z), *theirs)

    def cost(
        self, xp: Namespace, params: Parameters, batch: Batch, l2: Any = None, training: bool = False
    ) -> Array:
        """J, shape () or the stack's; with `training` statistics are those of the batch."""
        return self.judged(xp, params, batch, l2, training)[0]

    def judged(
        self, xp: Namespace, params: Parameters, batch: Batch, l2: Any = None, training: bool = False
    ) -> tuple[Array, Array, Array]:
        """J, the predictions A[L] and the targets, both in rows."""
        batch = batch.in_floats(xp, params)
        weight = relative_weights(xp, batch)
        shrink = shrinkage(xp, batch, l2)
        Z, A, *_ = self.model.forward(xp, params, batch.X.mT, training=training)
        J = cost(xp, self.loss, self.output, Z[-1], A[-1], batch.Y.mT, weight)
        return J if shrink is None else J + self.penalty(xp, params, shrink), A[-1].mT, batch.Y

    def with_smoothing(self, share: float) -> Objective:
        """The same, with another share of the targets spread evenly."""
        return replace(self, smoothing=share)

    def smoothed(self, batch: Batch) -> Array:
        """The batch's targets as they are learned from."""
        if not self.smoothing:
            return batch.Y
        outcomes = 2 if batch.classes is None else batch.Y.shape[-1]
        return (1 - self.smoothing) * batch.Y + self.smoothing / outcomes

    def gradients(
        self,
        xp: Namespace,
        params: Parameters,
        batch: Batch,
        l2: Any = None,
        masks: Masks = None,
        training: bool = True,
    ) -> tuple[Array, Parameters]:
        """J and its gradients; `masks` and `training` as for `Chain.forward`."""
        return self.learned(xp, params, batch, l2, masks, training)[:2]

    def learned(
        self,
        xp: Namespace,
        params: Parameters,
        batch: Batch,
        l2: Any = None,
        masks: Masks = None,
        training: bool = True,
    ) -> tuple[Array, Parameters, Parameters]:
        """As `gradients`, and the parameters with the statistics that the batch has moved."""
        batch = batch.in_floats(xp, params)
        weight = relative_weights(xp, batch)
        Y, loss, model = self.smoothed(batch).mT, self.loss, self.model
        passed = model.forward(xp, params, batch.X.mT, masks, training)
        Z, A = passed.Z[-1], passed.A[-1]
        J = cost(xp, loss, self.output, Z, A, Y, weight)
        Delta = output_delta(xp, loss, self.output, Z, A, Y)
        Delta = Delta if weight is None else weight * Delta
        if batch.whole is not None:
            J, Delta = J * batch.part, Delta * batch.part
        grads = model.backward(xp, params, passed, Delta, masks)
        J, grads = self.penalised(xp, params, J, grads, shrinkage(xp, batch, l2))
        return J, grads, model.moved(xp, params, passed) if training else params

    def penalised(
        self, xp: Namespace, params: Parameters, J: Array, grads: Parameters, shrink: Any
    ) -> tuple[Array, Parameters]:
        """J and its gradients with the penalty, if there is one; see `shrinkage`."""
        if shrink is None:
            return J, grads
        J = J + self.penalty(xp, params, shrink)
        return J, self.with_penalty(xp, params, grads, shrink, J)

    def penalty(self, xp: Namespace, params: Parameters, shrink: Any) -> Array:
        """shrink/2 sum_l ||W[l]||^2, shape () or the stack's."""
        s = shrink[..., 0, 0] if getattr(shrink, "ndim", 0) else shrink
        weights = [params[l][k] for l, k, _ in self.model.weights(len(params))]
        J: Array = 0.5 * s * squared_norm(xp, weights)
        return J

    def with_penalty(
        self, xp: Namespace, params: Parameters, grads: Parameters, shrink: Any, J: Array
    ) -> Parameters:
        """The gradients with those of the penalty: of a shared W the sum of the networks' penalties."""
        found = [list(layer) for layer in grads]
        for l, k, is_shared in self.model.weights(len(params)):
            each = xp.sum(shrink * xp.ones_like(J)[..., None, None]) if is_shared else shrink
            found[l][k] = found[l][k] + each * params[l][k]
        return [tuple(layer) for layer in found]


def as_dtype(xp: Namespace, x: Array, dtype: Any) -> Array:
    """`x` itself if it has that dtype, else cast to it."""
    return x if x.dtype == dtype else xp.astype(x, dtype)


def relative_weights(xp: Namespace, batch: Batch) -> Array | None:
    """w_i/w as (..., 1, B), None where all are 1."""
    if batch.weight is None:
        return None
    relative: Array = (batch.weight / mean_weight(xp, batch)[..., None])[..., None, :]
    return relative


def shrinkage(xp: Namespace, batch: Batch, l2: Any) -> Any:
    """l2/(B w): a number, an array of no axis, or (..., 1, 1); None where there is no penalty.

    B is the number of rows of all of the batch, of which several processes may have parts.
    """
    if l2 is None:
        return None
    B = batch.X.shape[-2] if batch.whole is None else batch.whole
    of_nobody = batch.whole is not None and batch.mean_weight is not None  # a part may be empty
    if batch.weight is None and not of_nobody:
        return l2 / B
    return l2 / (B * mean_weight(xp, batch)[..., None, None])


def mean_weight(xp: Namespace, batch: Batch) -> Array:
    """What the weights are relative to: see `Batch`."""
    if batch.mean_weight is not None:
        return batch.mean_weight
    mean = xp.mean(batch.weight, axis=-1)  # type: ignore[arg-type]
    return or_one(xp, mean, 1 if batch.counted is None else batch.share)


def or_one(xp: Namespace, mean: Array, one: Any = 1) -> Array:
    """A mean weight; 1 in the place of 0: weights that are all zero count for nothing."""
    filled: Array = mean + xp.astype(mean == 0, mean.dtype) * one
    return filled
