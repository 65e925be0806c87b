"""The steps of training as JavaScript, for networks of any widths: what `fit` does, in a browser.

Every text is written from the functions that `fit` and `Network.predict` compute with, traced; see
`portable_nn.compiler.javascript`. A function in it, such as ``create(sizes, given)``, makes arrays, or
takes those that it is given. All use the same names, so that the arrays of one can be passed to another:

    W1 (n1, n0), b1 (n1, 1), ...      the parameters, in row-major order
    dW1, db1, ...                     their gradients
    m_W1, v_W1, ...                   what the optimizer keeps: v, or of Adam m and v
    X (N, n0), Y (N, nL)              the data; weight (N) and mean_weight () with sample weights
    rows (B), of 32-bit integers      the rows of the batch
    mask1 (n1, B), ...                of dropout: 0, or 1/(1 - rate)
    numbers                           l2, clip_norm and the optimizer's coefficients: see `StepNumbers`
    J, total ()                       the cost of the batch, and the sum of J B over the batches so far
    Z1, A1 (n1, B), ...               what the layers compute, in columns
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import get
from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.javascript import Named, NamedStep, source_of
from portable_nn.equations import Array, Namespace, Parameters
from portable_nn.layers.chain import Recipe
from portable_nn.network import Network
from portable_nn.network.objective import Batch, shrinkage
from portable_nn.optimizers import SGD
from portable_nn.training.description import Training
from portable_nn.training.dropout import Rates
from portable_nn.training.hyperparameters import StepNumbers
from portable_nn.training.steps import StepParts
from portable_nn.version import __version__

Results = dict[str, Array]


def javascript(steps: Mapping[str, NamedStep], is_module: bool = True) -> str:
    """The text of JavaScript with a function for each of the steps, which share what they call.

    It is an ES module that exports the functions, or without `is_module` a part of a script. Raises
    UntraceableError for what there is no code for.

    Examples
    --------
    >>> net = Network((2, 8, 1), ("tanh", "sigmoid"), "binary_cross_entropy")
    >>> training = Training(net, Adam())
    >>> text = javascript({"create": whole_step(training), "numbersOf": numbers(training)})

    and with the text in a file, for any widths::

        import { create, numbersOf } from "./step.mjs";
        const { arrays, step } = create({ n0: 2, n1: 5, n2: 1, N: 400, B: 32 }, { X, Y });
        const rate = numbersOf({}, { numbers: arrays.numbers });
        arrays.W1.set(...);
        for (rate.arrays.t[0] = 1; rate.arrays.t[0] <= 1000; rate.arrays.t[0]++) {
          rate.arrays.learning_rate[0] = 0.03;
          rate.step();
          arrays.rows.set(...);
          step();
        }
    """
    return source_of(steps, f"Written by portable_nn {__version__}.", is_module)


def whole_step(
    training: Training, shows: bool = False, has_weights: bool = False, dtype: str = "float64"
) -> NamedStep:
    """A training step: ``step(B)`` takes the batch of these `rows`, and overwrites W1, b1, ....

    Parameters
    ----------
    training : Training
        The network, of which the number of layers, the activations and the loss count; the optimizer;
        and whether there is `l2`, `dropout` and `clip_norm`: their values are data of the step.
    shows : bool
        Whether J, the gradients and what the layers compute are results too.
    has_weights : bool
        Whether the examples have weights.
    dtype : str
        "float64" or "float32", of all arrays but `total`, a double, and `rows`.

    Raises UntraceableError for a network with other layers than dense ones.
    """
    layers = DenseLayers(training, has_weights, dtype)
    parts, xp = layers.parts, layers.xp

    def function(params: Parameters, slots: Any, total: Array, *rest: Any) -> Results:
        data, rows, masks, given = rest
        new, new_slots, new_total = parts.step(xp, (params, slots, total), data, (rows, masks, given))
        results = named(layers.names, new) | {"total": new_total}
        for letter, slot in zip(layers.letters, new_slots, strict=True):
            results |= named([f"{letter}_{name}" for name in layers.names], slot)
        l2 = parts.numbers(given).l2
        return results | (layers.shown(params, data, rows, masks, l2) if shows else {})

    slots = tuple(layers.params(f"{letter}_") for letter in layers.letters)
    total = Named("total", (), np.dtype("float64"))
    given = (layers.params(), slots, total, *layers.batch())
    return NamedStep(function, given, "B", f"a training step of {layers.summary}")


def gradients(
    training: Training, shows: bool = False, has_weights: bool = False, dtype: str = "float64"
) -> NamedStep:
    """The first half of a step: J and the gradients dW1, db1, ..., without penalty.

    The arguments are those of `whole_step`; with `shows` what the layers compute is a result too. Of the
    optimizer, of l2 and of clip_norm nothing is in the text: all that is in the other half, `update`.
    """
    layers = DenseLayers(training, has_weights, dtype)

    def function(params: Parameters, *rest: Any) -> Results:
        found = layers.shown(params, *rest)
        return found if shows else {name: x for name, x in found.items() if name[0] in "Jd"}

    return NamedStep(
        function, (layers.params(), *layers.batch()[:-1]), "B", f"the gradients of {layers.summary}"
    )


def update(training: Training, has_weights: bool = False, dtype: str = "float64") -> NamedStep:
    """The other half of a step, for one layer: its W, b, dW, db and what the optimizer keeps of them.

    W is (units, inputs). With l2 the penalty is added to J and its gradient to dW; `examples` is the
    number B of rows of the batch. Call the function for each layer, with ``({ inputs, units }, { W: W1,
    dW: dW1, ..., J, numbers })``. Raises UntraceableError where the layers are not updated one by one:
    with `clip_norm` or groups.
    """
    layers = DenseLayers(training, has_weights, dtype)
    kind, xp = layers.parts.kind, layers.xp
    if kind.limited or len(kind.rules) > 1:
        raise UntraceableError(
            "layers are not updated one by one with `clip_norm` or groups; accepted: `whole_step`"
        )
    one = StepParts(kind._replace(parts=(0, 0), trained=(True, True)))

    def function(
        params: Parameters, grads: Parameters, slots: Any, given: Array, penalised: Sequence[Array]
    ) -> Results:
        numbers, results = one.numbers(given), {}
        if penalised:
            J, B, *weights = penalised
            w = weights[0] if weights else None
            batch = Batch(B, B, w, w, whole=B)  # of which l2/(B w) takes B and w alone
            shrink = shrinkage(xp, batch, numbers.l2)
            J, grads = kind.objective.penalised(xp, params, J, grads, shrink)
            results = {"J": J, "dW": grads[0][0]}
        new, new_slots = one.updated(xp, params, grads, slots, numbers)
        for prefix, tree in zip(["", *prefixes], [new, *new_slots], strict=True):
            results |= named([f"{prefix}W", f"{prefix}b"], tree)
        return results

    def layer(prefix: str = "") -> Parameters:
        W, b = layers.named(f"{prefix}W", "units", "inputs"), layers.named(f"{prefix}b", "units", 1)
        return [(W, b)]  # type: ignore[list-item]

    prefixes = [f"{letter}_" for letter in layers.letters]
    of_penalty = ["J", "examples", *["mean_weight"] * has_weights] if training.has_penalty else []
    given = (layer(), layer("d"), tuple(map(layer, prefixes)), layers.numbers)
    optimizer = type(training.optimizer).__name__
    penalty = [layers.named(name) for name in of_penalty]
    return NamedStep(function, (*given, penalty), comment=f"the update of a layer by {optimizer}")


def numbers(training: Training, dtype: str = "float64") -> NamedStep:
    """The `numbers` of update t = 1, 2, ...: from t, learning_rate, and l2 and clip_norm where they are.

    What else the optimizer computes with, such as its decay rates, is in the text. Raises
    UntraceableError for an optimizer with schedules or groups of its own.
    """
    layers = DenseLayers(training, False, dtype)
    plain = layers.step_numbers.plain
    if plain is None or layers.parts.limits > 1:
        raise UntraceableError(
            "an optimizer has schedules or groups, or there are several limits; accepted: `numbers` "
            "from `StepNumbers.row`"
        )

    def function(t: Array, learning_rate: Array, constants: Sequence[Array]) -> Results:
        each = [*constants, *plain(t, learning_rate)]
        found = [np.asarray([x], dtype) if isinstance(x, float) else x for x in each]
        return {"numbers": layers.xp.concat(found, axis=0)}

    limited = ["l2"] * training.has_penalty + ["clip_norm"] * layers.parts.limits
    t, learning_rate, *constants = (layers.named(n, 1) for n in ("t", "learning_rate", *limited))
    optimizer = type(training.optimizer).__name__
    return NamedStep(function, (t, learning_rate, constants), comment=f"the numbers of {optimizer}")


def predictions(net: Network, dtype: str = "float64") -> NamedStep:
    """``step(N)`` computes A1, ..., AL, each (nl, N) in columns, of N rows X (N, n0)."""
    layers = DenseLayers(Training(net, SGD()), False, dtype)

    def function(params: Parameters, X: Array) -> Results:
        passed = net.objective.model.forward(layers.xp, params, X.mT)
        return {f"A{l}": A for l, A in enumerate(passed.A) if l}

    given = (layers.params(), layers.named("X", "N", "n0"))
    return NamedStep(function, given, "N", f"predictions of {layers.summary}")


class DenseLayers:
    """The arrays of a training step of dense layers, by their names, and what the step is made of."""

    def __init__(self, training: Training, has_weights: bool, dtype: str) -> None:
        net = training.net
        if not isinstance(net.objective.model, Recipe):
            raise UntraceableError("the network has layers that are not dense; accepted: (W, b) alone")
        self.training, self.has_weights, self.dtype = training, has_weights, np.dtype(dtype)
        self.xp: Namespace = get("numpy").xp
        self.L, self.step_numbers = len(net.sizes) - 1, StepNumbers(training)
        self.parts = StepParts(self.step_numbers.kind_of_step(training))
        count = len(self.step_numbers.row(0, training.learning_rate(0)))
        self.numbers = self.named("numbers", count)
        slots = training.optimizer.slots
        self.letters = {1: ["v"], 2: ["m", "v"]}.get(slots, [f"s{i + 1}" for i in range(slots)])
        self.names = [f"{letter}{l}" for l in range(1, self.L + 1) for letter in "Wb"]

    @property
    def summary(self) -> str:
        """The activations and the loss."""
        net = self.training.net
        return f"layers of {', '.join(each.name for each in net.g)}, with {net.loss.name}"

    def named(self, name: str, *shape: str | int) -> Named:
        """An array in the dtype of the step."""
        return Named(name, shape, self.dtype)

    def params(self, prefix: str = "") -> Parameters:
        """[(W1, b1), ...], or arrays like them."""
        return [
            (
                self.named(f"{prefix}W{l}", f"n{l}", f"n{l - 1}"),  # type: ignore[misc]
                self.named(f"{prefix}b{l}", f"n{l}", 1),
            )
            for l in range(1, self.L + 1)
        ]

    def batch(self) -> tuple[Any, ...]:
        """The data, the rows of a batch, its masks and the numbers of the update."""
        X, Y = self.named("X", "N", "n0"), self.named("Y", "N", f"n{self.L}")
        weights = (self.named("weight", "N"), self.named("mean_weight")) if self.has_weights else ()
        drops = Rates(self.training.dropout).drops
        masks = [self.named(f"mask{l}", f"n{l}", "B") if d else None for l, d in enumerate(drops, 1)]
        rows = Named("rows", ("B",), np.dtype("int32"))
        return Batch(X, Y, *weights), rows, masks if any(drops) else None, self.numbers  # type: ignore[arg-type]

    def shown(
        self, params: Parameters, data: Any, rows: Array, masks: Any, l2: Array | None = None
    ) -> Results:
        """J, its gradients, and Z and A of each layer: the same operations as those of the step."""
        objective, dtype = self.parts.kind.objective, params[0][0].dtype
        batch = self.parts.batch(self.xp, data, rows, dtype)
        J, grads, _ = objective.learned(self.xp, params, batch, l2, masks)
        passed = objective.model.forward(self.xp, params, batch.X.mT, masks, training=True)
        layers = {f"Z{l}": Z for l, Z in enumerate(passed.Z) if l}
        layers |= {f"A{l}": A for l, A in enumerate(passed.A) if l}
        return {"J": J} | named([f"d{name}" for name in self.names], grads) | layers


def named(names: Sequence[str], tree: trees.Tree) -> Results:
    """The arrays of a tree by these names."""
    return dict(zip(names, trees.leaves(tree), strict=True))
