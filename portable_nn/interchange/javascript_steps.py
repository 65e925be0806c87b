"""The steps of training as JavaScript, for networks of any widths: what `fit` does, in a browser.

Every text is written from the functions that `fit` and `Network.predict` compute with, traced; see
`portable_nn.compiler.javascript`. What a text declares, ``create(sizes, given)``, makes arrays, or takes
those that it is given. All use the same names, so that the arrays of one can be passed to the next:

    W1 (n1, n0), b1 (n1, 1), ...      the parameters, in row-major order
    dW1, db1, ...                     their gradients
    m_W1 or v_W1, ...                 the optimizer's arrays, in the order of its slots: s1_W1, s2_W1
    X (N, n0), Y (N, nL)              the data; weight (N) and mean_weight () with sample weights
    rows (B), of 32-bit integers      the rows of the batch
    mask1 (n1, B), ...                of dropout: 0, or 1/(1 - rate)
    numbers                           l2, clip_norm and the optimizer's coefficients: see `StepNumbers`
    J, total ()                       the cost of the batch, and the sum of J B over the batches so far
    Z1, A1 (n1, B), ...               what the layers compute, in columns
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import get
from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.javascript import Named, Step, source_of
from portable_nn.equations import Array, Namespace, Parameters
from portable_nn.layers.chain import Recipe
from portable_nn.network import Network
from portable_nn.network.objective import Batch
from portable_nn.optimizers import SGD
from portable_nn.training.description import Training
from portable_nn.training.dropout import Rates
from portable_nn.training.hyperparameters import StepNumbers
from portable_nn.training.steps import StepParts
from portable_nn.version import __version__

Results = dict[str, Array]


@dataclass(frozen=True)
class Form:
    """How a text is written: the name of its function, and whether it is a module or part of a script.

    With `is_module` the function is exported, else it is declared: a page may hold it in a script.
    """

    name: str = "create"
    is_module: bool = True
    dtype: str = "float64"


MODULE = Form()


def javascript_step(
    training: Training, shows: bool = False, has_weights: bool = False, form: Form = MODULE
) -> str:
    """A whole training step: ``step(B)`` takes the batch of these `rows`, and overwrites W1, b1, ....

    Parameters
    ----------
    training : Training
        The network, of which the number of layers, the activations and the loss count; the optimizer;
        and whether there is `l2`, `dropout` and `clip_norm`: their values are data of the step.
    shows : bool
        Whether J, the gradients and what the layers compute are results too.
    has_weights : bool
        Whether the examples have weights.
    form : Form

    Raises UntraceableError for a network with other layers than dense ones, and for what there is no
    code for.

    Examples
    --------
    >>> net = Network((2, 8, 1), ("tanh", "sigmoid"), "binary_cross_entropy")
    >>> text = javascript_step(Training(net, "adam"))

    and with the text in a file, for any widths::

        import { create } from "./step.mjs";
        const { arrays, step } = create({ n0: 2, n1: 8, n2: 1, N: 400, B: 32 }, { X, Y });
        arrays.W1.set(...);
        arrays.rows.set(...);
        arrays.numbers.set(...);
        step();
    """
    layers = Layers(training, has_weights, form)
    parts, xp = layers.parts, layers.xp

    def function(params: Parameters, slots: Any, total: Array, *rest: Any) -> Results:
        data, rows, masks, given = rest
        new, new_slots, new_total = parts.step(xp, (params, slots, total), data, (rows, masks, given))
        results = named(layers.names, new) | {"total": new_total}
        for letter, slot in zip(layers.letters, new_slots, strict=True):
            results |= named([f"{letter}_{name}" for name in layers.names], slot)
        return results | (layers.shown(params, data, rows, masks, given) if shows else {})

    slots = tuple(layers.params(f"{letter}_") for letter in layers.letters)
    total = Named("total", (), np.dtype("float64"))
    given = (layers.params(), slots, total, *layers.batch())
    return layers.text(Step(function, given, "B"), "a training step")


def javascript_gradients(
    training: Training, shows: bool = False, has_weights: bool = False, form: Form = MODULE
) -> str:
    """The first half of a step: J and the gradients dW1, db1, ..., with those of the penalty.

    The arguments are those of `javascript_step`; of the optimizer nothing is in the text. The other half
    is `javascript_update`.
    """
    layers = Layers(training, has_weights, form)

    def function(params: Parameters, *rest: Any) -> Results:
        found = layers.shown(params, *rest)
        return found if shows else {name: x for name, x in found.items() if name[0] in "Jd"}

    given = (layers.params(), *layers.batch())
    return layers.text(Step(function, given, "B"), "the gradients of a batch")


def javascript_update(training: Training, form: Form = MODULE) -> str:
    """The other half of a step, for one array: theta and its gradient g, both of `count` elements.

    The optimizer's arrays are m_theta and v_theta. Call it for each of W1, b1, ..., with
    ``create({ count }, { theta: W1, g: dW1, ..., numbers })``. Raises UntraceableError where arrays are
    not updated one by one: with `clip_norm` or with groups.
    """
    layers = Layers(training, False, form)
    kind = layers.parts.kind
    if kind.limited or len(kind.rules) > 1:
        raise UntraceableError(
            "arrays are not updated one by one with `clip_norm` or groups; accepted: javascript_step"
        )
    one = StepParts(kind._replace(parts=(0,), trained=(True,)))

    def function(theta: Array, g: Array, slots: Any, given: Array) -> Results:
        numbers = one.numbers(given)
        (new,), new_slots = one.updated(layers.xp, [(theta,)], [(g,)], slots, numbers)
        results = {"theta": new[0]}
        for letter, slot in zip(layers.letters, new_slots, strict=True):
            results[f"{letter}_theta"] = slot[0][0]
        return results

    theta, g, *slots = (
        layers.named(name, "count") for name in ("theta", "g", *(f"{x}_theta" for x in layers.letters))
    )
    given = (theta, g, tuple([(slot,)] for slot in slots), layers.numbers)
    return layers.text(Step(function, given), "the update of an array")


def javascript_numbers(training: Training, form: Form = MODULE) -> str:
    """The `numbers` of update t = 1, 2, ...: from t, learning_rate, and l2 and clip_norm where they are.

    What else the optimizer computes with, such as its decay rates, is in the text. Raises
    UntraceableError for an optimizer with schedules or groups of its own.
    """
    layers = Layers(training, False, form)
    plain = layers.step_numbers.plain
    if plain is None or layers.parts.limits > 1:
        raise UntraceableError("an optimizer has schedules or groups; accepted: one without")
    dtype = np.dtype(form.dtype)
    named_here = ["l2"] * training.has_penalty + ["clip_norm"] * layers.parts.limits

    def function(t: Array, learning_rate: Array, constants: Sequence[Array]) -> Results:
        each = [*constants, *plain(t, learning_rate)]
        found = [np.asarray([x], dtype) if isinstance(x, float) else x for x in each]
        return {"numbers": layers.xp.concat(found, axis=0)}

    t, learning_rate, *constants = (layers.named(n, 1) for n in ("t", "learning_rate", *named_here))
    given = (t, learning_rate, constants)
    return layers.text(Step(function, given), "the numbers of an update")


def javascript_forward(net: Network, form: Form = MODULE) -> str:
    """Predictions: ``step(N)`` computes A1, ..., AL, each (nl, N) in columns, of N rows X (N, n0)."""
    layers = Layers(Training(net, SGD()), False, form)

    def function(params: Parameters, X: Array) -> Results:
        passed = net.objective.model.forward(layers.xp, params, X.mT)
        return {f"A{l}": A for l, A in enumerate(passed.A) if l}

    return layers.text(Step(function, (layers.params(), layers.named("X", "N", "n0")), "N"), "a network")


class Layers:
    """The arrays of a training step of dense layers, by their names, and what the step is made of."""

    def __init__(self, training: Training, has_weights: bool, form: Form) -> None:
        net = training.net
        if not isinstance(net.objective.model, Recipe):
            raise UntraceableError("the network has layers that are not dense; accepted: (W, b) alone")
        self.training, self.has_weights, self.form = training, has_weights, form
        self.xp: Namespace = get("numpy").xp
        self.L, self.step_numbers = len(net.sizes) - 1, StepNumbers(training)
        self.parts = StepParts(self.step_numbers.kind_of_step(training))
        count = len(self.step_numbers.row(0, training.learning_rate(0)))
        self.numbers = self.named("numbers", count)
        slots = training.optimizer.slots
        self.letters = {1: ["v"], 2: ["m", "v"]}.get(slots, [f"s{i + 1}" for i in range(slots)])
        self.names = [f"{letter}{l}" for l in range(1, self.L + 1) for letter in "Wb"]

    def named(self, name: str, *shape: str | int) -> Named:
        """An array in the dtype of the step."""
        return Named(name, shape, np.dtype(self.form.dtype))

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

    def shown(self, params: Parameters, data: Any, rows: Array, masks: Any, given: Array) -> Results:
        """J, its gradients, and Z and A of each layer: the same operations as those of the step."""
        parts, objective = self.parts, self.parts.kind.objective
        batch = parts.batch(self.xp, data, rows, given.dtype)
        J, grads, _ = objective.learned(self.xp, params, batch, parts.numbers(given).l2, masks)
        passed = objective.model.forward(self.xp, params, batch.X.mT, masks, training=True)
        layers = {f"Z{l}": Z for l, Z in enumerate(passed.Z) if l}
        layers |= {f"A{l}": A for l, A in enumerate(passed.A) if l}
        return {"J": J} | named([f"d{name}" for name in self.names], grads) | layers

    def text(self, step: Step, what: str) -> str:
        """The text of a step."""
        net = self.training.net
        g = ", ".join(each.name for each in net.g)
        arrays = [f"{one.name} ({', '.join(map(str, one.shape))})" for one in step.inputs]
        comment = [
            f"Written by portable_nn {__version__}: {what}, for layers of {g} and {net.loss.name}.",
            *textwrap.wrap(f"It reads, in row-major order, {', '.join(arrays)}.", 100),
        ]
        return source_of(step, self.form.name, comment, self.form.is_module)


def named(names: Sequence[str], tree: trees.Tree) -> Results:
    """The arrays of a tree by these names."""
    return dict(zip(names, trees.leaves(tree), strict=True))
