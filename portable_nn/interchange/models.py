"""What a model is to this room: its layers on the host, what it predicts, its labels and names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from portable_nn import backends, trees
from portable_nn.checks import check_dtype, check_values
from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.rows import trace_row
from portable_nn.compiler.signatures import HostArray
from portable_nn.equations import ACTIVATIONS, Activation, Parameters, symbol
from portable_nn.interchange.parts import Part, Traced, parts_of, traced
from portable_nn.layers import Dense, Embedding, Recipe
from portable_nn.layers.codes import Levels
from portable_nn.layers.described import Described, Layers, dense_layers
from portable_nn.network import Network
from portable_nn.network.parameters import check_parameters
from portable_nn.network.prediction import layers

Task: TypeAlias = Literal["network", "binary", "multiclass", "multilabel", "regression"]
T = TypeVar("T")

TASKS: dict[str, Task] = {"binary": "binary", "multiclass": "multiclass"}  # what LabelBinarizer says
OUTPUTS = {  # what is predicted for a row
    "network": "the outputs of the network",
    "regression": "the predicted values",
    "binary": "the probabilities of the classes",
    "multiclass": "the probabilities of the classes",
    "multilabel": "the probability of each label",
}
ACCEPTED = (
    "accepted: (net, params), or a fitted MLPClassifier or MLPRegressor of portable_nn; by to_onnx a "
    "fitted TabularClassifier or TabularRegressor too"
)
DENSE_MEMBER = "[(W[k], b[k]) for W, b in params]"
MEMBER = "[tuple(a[k] if a.ndim > 2 else a for a in layer) for layer in params], shared arrays included"
OF_A_PIPELINE = (
    "; of a pipeline give its last step, pipeline[-1], and what its other steps make of the rows; as "
    "ONNX skl2onnx.to_onnx writes all of it, after portable_nn.interchange.register_with_skl2onnx()"
)


@dataclass(frozen=True, eq=False)
class Model:
    """One trained network on the host.

    sizes : (n_0, ..., n_L)
    g : the activations of the layers
    params : pairs (W, b) of NumPy arrays, (n_l, n_{l-1}) and (n_l, 1), of one dtype, row-major, finite;
        of other layers a tuple of their arrays
    task : "network" where nothing is known but the network
    classes : the labels (n_classes,); for "multilabel" the names of the columns; None for other tasks
    feature_names : of the inputs, or None
    listed : the layers where there are others than dense ones, else ()
    """

    sizes: tuple[int, ...]
    g: tuple[Activation, ...]
    params: tuple[tuple[HostArray, ...], ...]
    task: Task = "network"
    classes: HostArray | None = None
    feature_names: tuple[str, ...] | None = None
    listed: Layers = ()

    @property
    def parts(self) -> list[Part]:
        """The layers and activations in their order."""
        return parts_of(self.sizes[0], self.listed or dense_layers(self.sizes, self.g), self.params)

    @property
    def levels(self) -> Levels:
        """The columns of codes among the inputs, with the number of categories of each."""
        first = self.listed[0] if self.listed else None
        return first.levels if isinstance(first, Embedding) else ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters, float32 or float64."""
        found: np.dtype[Any] = self.params[0][0].dtype
        return found

    @property
    def n_outputs(self) -> int:
        """How many numbers are predicted for a row; a binary classifier gives both probabilities."""
        return 2 if self.has_one_probability else self.sizes[-1]

    @property
    def has_one_probability(self) -> bool:
        """Whether the network gives the probability of the second of two classes alone."""
        return self.classes is not None and self.sizes[-1] == 1

    @property
    def summary(self) -> list[tuple[int, str]]:
        """The units and the name of each layer: of a dense one that of its activation."""
        if not self.listed:
            return [(n, g.name) for n, g in zip(self.sizes[1:], self.g, strict=True)]
        return [(part.width, part.name) for part in self.parts]

    def trace(self) -> Traced:
        """The graph of the prediction of a row; its shared arrays are the parameters: W1, b1, ...

        Raises UntraceableError where a layer or an activation cannot be traced.
        """
        if self.listed:
            return traced(self.parts, self.dtype)
        xp = backends.get("numpy").xp

        def prediction(X: Any, *flat: Any) -> Any:
            params: Parameters = list(zip(flat[::2], flat[1::2], strict=True))
            return layers(xp, Recipe(self.g), params, X)[-1]

        graph = trace_row(prediction, self.sizes[0], [array for layer in self.params for array in layer])
        return Traced(graph, [f"{'Wb'[k]}{l + 1}" for l in range(len(self.params)) for k in range(2)])


def model_of(thing: Any) -> Model:
    """The model in `(net, params)`, or in a fitted MLPClassifier or MLPRegressor, on any backend.

    Raises TypeError for anything else; ValueError for an estimator that has not been fitted, for a
    stack of networks, and for parameters of other shapes or dtypes, or that are not finite.
    """
    if isinstance(thing, (tuple, list)) and len(thing) == 2 and isinstance(thing[0], Network):
        net, params = thing
        checked = check_parameters(net.described, net.loss, params)
        if checked.stack:
            raise ValueError(
                f"`params` is a stack of networks, of shape {checked.stack}; accepted: one network; "
                f"export its members one by one: {MEMBER if net.listed else DENSE_MEMBER}"
            )
        checked.check_values()
        return Model(net.sizes, net.g, on_host(params, net.described), listed=net.listed)
    if not (hasattr(thing, "_g") and hasattr(thing, "_params")):
        hint = OF_A_PIPELINE if hasattr(thing, "named_steps") else ""
        raise TypeError(f"`model` is {described(thing)}; {ACCEPTED}{hint}")
    if not hasattr(thing, "coefs_"):
        raise ValueError(f"`model`, {described(thing)}, is not fitted; call fit first")
    return model_of_estimator(thing)


def is_of_tables(thing: Any) -> bool:
    """Whether it is an estimator of tables; what it is an instance of has been imported."""
    loaded = sys.modules.get("portable_nn.tabular.fitted")
    return loaded is not None and isinstance(thing, loaded.FittedTabular)


def model_of_estimator(estimator: Any) -> Model:
    """The model in a fitted estimator of ours; TypeError for one that predicts in a way of its own."""
    # not above: scikit-learn, which this loads, is optional
    from portable_nn.estimators.overriding import check_predicts_as_ours  # noqa: PLC0415

    check_predicts_as_ours(estimator)
    params, g = on_host(estimator._params()), tuple(estimator._g())
    named = zip(map(symbol, trees.places(params)), trees.leaves(params), strict=True)
    check_values(backends.get("numpy"), dict(named))
    sizes = (params[0][0].shape[1], *(W.shape[0] for W, _ in params))
    given = getattr(estimator, "feature_names_in_", None)
    names = None if given is None else tuple(map(str, given))
    if not hasattr(estimator, "classes_"):
        return Model(sizes, g, params, "regression", None, names)
    task = TASKS.get(estimator._labels().y_type_, "multilabel")
    return Model(sizes, g, params, task, backends.to_host(estimator.classes_), names)


def on_host(params: Any, net: Described | None = None) -> tuple[tuple[HostArray, ...], ...]:
    """Copies of the parameters in row-major order; TypeError or ValueError for other dtypes."""
    host = tuple(tuple(map(in_rows, layer)) for layer in params)
    names = [name for name, _, _ in net.arrays] if net else [*map(symbol, trees.places(params))]
    dtype = host[0][0].dtype
    for name, array in zip(names, trees.leaves(host), strict=True):
        if array.dtype != dtype:
            raise ValueError(
                f"`{name}` is {array.dtype} and `{names[0]}` is {dtype}; accepted: parameters of one "
                "dtype"
            )
    check_dtype(dtype.name)
    return host


def in_rows(array: Any) -> HostArray:
    """A copy on the host, in row-major order and the machine's byte order."""
    host = backends.to_host(array)
    return np.array(host, dtype=host.dtype.newbyteorder("="), order="C")


def described(thing: Any) -> str:
    """What was given, for a message."""
    return f"a {type(thing).__module__}.{type(thing).__qualname__}"


def written(model: Model, target: str, write: Callable[[Model], T]) -> T:
    """``write(model)``; TypeError that names what the target has no operations for."""
    try:
        return write(model)
    except UntraceableError as error:
        for part in model.parts:
            try:
                write(alone(model, part))
            except UntraceableError as cause:
                raise TypeError(
                    f"{part.described} cannot be written as {target}: {cause}"
                    "; accepted: one that treats every row alike, written with elementwise functions of "
                    "the array API standard, `xp.max`, `xp.min` and `xp.sum`"
                ) from cause
        raise TypeError(f"the network cannot be written as {target}: {error}") from error


def alone(model: Model, part: Part) -> Model:
    """The model with this part only, above a dense layer."""
    column = np.zeros((part.n, 1), model.dtype)
    params = ((column, column), part.theta) if part.theta else ((column, column),)
    layers = (Dense(part.n), part.layer, ACTIVATIONS["identity"])
    return replace(model, sizes=(1, part.width), params=params, feature_names=None, listed=layers)
