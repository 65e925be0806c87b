"""Trainings over meshes of four devices in one process, beside those of NumPy: figures as JSON.

``python mesh_cases.py PART``: the name of one of the functions at the end.
"""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

# compiling would take most of the time
os.environ |= {
    "XLA_FLAGS": "--xla_force_host_platform_device_count=4"
    + (" --xla_backend_optimization_level=0" if "programs" not in sys.argv else "")
    + (" --xla_llvm_disable_expensive_passes=true" if "programs" not in sys.argv else ""),
    "JAX_ENABLE_X64": "1",
}

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import portable_nn as pnn
from portable_nn.backends import get, of, to_host

warnings.simplefilter("error")
DEVICES = np.array(jax.devices())
LINE = Mesh(DEVICES, ("data",))
GRID = Mesh(DEVICES.reshape(2, 2), ("data", "model"))
NETWORK = pnn.Network((20, 40, 3), ("tanh", "softmax"), "categorical_cross_entropy")
random = np.random.default_rng(0)
N = 500
X, Y = random.normal(size=(N, 20)), np.eye(3)[random.integers(0, 3, N)]
HOST = X, Y, random.uniform(0.1, 2.0, size=N)
FIRST = NETWORK.initialize(seed=0, dtype="float64")
ALL: dict[str, Any] = {"batch_size": 97, "epochs": 3, "l2": 0.1, "clip_norm": 0.3, "dropout": 0.2}


def put(array: Any, *spec: Any, mesh: Mesh = LINE) -> Any:
    return jax.device_put(array, NamedSharding(mesh, P(*spec)))


def on_grid(array: Any, *spec: Any) -> Any:
    return put(array, *spec, mesh=GRID)


def flat(tree: Any) -> Any:
    return np.concatenate([to_host(leaf).ravel() for leaf in jax.tree.leaves(tree)])


def apart(found: Any, expected: Any) -> float:
    """The largest difference, relative to the largest value."""
    a, b = flat(found), flat(expected)
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


def specs(tree: Any) -> list[Any]:
    """Along which axes of the mesh each array is split, the whole axes at its end left out."""
    found = []
    for leaf in jax.tree.leaves(tree):
        entries = list(leaf.sharding.spec)
        while entries and entries[-1] is None:
            entries.pop()
        found.append(entries)
    return found


ROWS = tuple(put(array, "data") for array in HOST)
GRID_ROWS = tuple(on_grid(array, "data") for array in HOST)
WHOLE = put(FIRST)
SPLIT = [  # the first layer along its units, the second one along what comes in
    tuple(on_grid(array, "model") for array in FIRST[0]),
    (on_grid(FIRST[1][0], None, "model"), on_grid(FIRST[1][1])),
]


def fitted(params: Any, data: Any, net: Any = NETWORK, **options: Any) -> tuple[Any, Any]:
    return pnn.fit(net, params, *data[:2], sample_weight=data[2], **options)


def differ(found: tuple[Any, Any], expected: tuple[Any, Any]) -> float:
    """How far apart two trainings are, in parameters and in all that was recorded."""
    records = [
        [history.cost, history.validation_cost, *history.metrics.values()]
        for _, history in (found, expected)
    ]
    return max(apart(found[0], expected[0]), apart(*map(jax.numpy.asarray, map(flat, records))))


def refused(function: Callable[[], Any]) -> str:
    try:
        function()
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was refused"


# ---- the parts --------------------------------------------------------------------------------------


def training() -> dict[str, Any]:
    """Every optimizer, with all that a training may have; other layouts; arrays stay what they were."""
    optimizers = {
        "SGD": pnn.SGD(0.1),
        "momentum": pnn.SGD(0.1, momentum=0.9),
        "nesterov": pnn.SGD(0.1, momentum=0.9, nesterov=True),
        "RMSprop": pnn.RMSprop(0.01),
        "AdamW": pnn.AdamW(0.01, weight_decay=0.1),
        "Adam": pnn.Adam(0.01),
    }
    figures = {}
    for name, optimizer in optimizers.items():
        expected = fitted(FIRST, HOST, optimizer=optimizer, **ALL)
        figures[name] = differ(fitted(WHOLE, ROWS, optimizer=optimizer, **ALL), expected)
    how = {"optimizer": optimizer, **ALL}
    params, history = split = fitted(SPLIT, GRID_ROWS, **how)
    figures["data and model"] = differ(split, expected)
    mixed = on_grid(X, ("data", "model")), on_grid(Y, "data"), on_grid(HOST[2])
    figures["each array in its own way"] = differ(fitted(on_grid(FIRST), mixed, **how), expected)
    columns = on_grid(X, None, "model"), *GRID_ROWS[1:]  # JAX would split W[1] alike
    found = fitted(on_grid(FIRST), columns, **how)
    figures["columns split"] = differ(found, expected)
    figures["streamed"] = differ(fitted(WHOLE, HOST, stream=True, **how), expected)
    figures["streamed to a grid"] = differ(fitted(SPLIT, HOST, stream=True, **how), expected)
    shard_map = jax.shard_map
    del jax.shard_map  # which old versions lack
    jax.clear_caches()
    figures["without shard_map"] = differ(fitted(WHOLE, ROWS, **how), expected)
    jax.shard_map = shard_map
    few = {"batch_size": 3, "epochs": 1}
    figures["fewer rows than devices"] = differ(fitted(WHOLE, ROWS, **few), fitted(FIRST, HOST, **few))
    how |= {"metrics": ["accuracy", "r2"], "early_stopping": pnn.EarlyStopping(patience=1)}
    how |= {"optimizer": pnn.Adam(0.3), "epochs": 50}
    held_out, there = (tuple(array[:100] for array in HOST), tuple(put(a[:100], "data") for a in HOST))
    stopped = fitted(WHOLE, ROWS, validation=there, **how)
    figures["early stopping"] = differ(stopped, fitted(FIRST, HOST, validation=held_out, **how))
    given = flat([HOST, FIRST])
    return {
        "apart": figures,
        "whole": specs(found[0]),
        "kept": [specs(tree) == specs(SPLIT) for tree in (params, *history.optimizer_state.slots)],
        "unchanged": [np.array_equal(given, flat(t)) for t in ([ROWS, WHOLE], [GRID_ROWS, SPLIT])],
        "stopped": [stopped[1].stopped_by, stopped[1].epochs],
    }


def programs() -> dict[str, Any]:
    """What is compiled of a training's steps: the collectives, and the shapes of the products.

    By the name of the case and the size of the batch.
    """
    jit, found, case = jax.jit, {}, ""

    def watched(function: Any, **options: Any) -> Any:
        compiled = jit(function, **options)
        if getattr(function, "__name__", "") != "steps_in_a_row":
            return compiled

        def run(*arguments: Any) -> Any:
            text = compiled.lower(*arguments).compile().as_text()
            kinds = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
            program = {kind: re.findall(rf"= (.*?) {kind}(?:-start)?\(", text) for kind in kinds}
            program["dot"] = re.findall(r"= (\w+\[[\d,]*\])\S* (?:dot|custom-call)\(", text)
            found[f"{case} {arguments[4][0].shape[-1]}"] = program
            return compiled(*arguments)

        return run

    jax.jit = watched
    for case, params, data, size in (
        ("split", WHOLE, ROWS, 96),
        ("split", WHOLE, ROWS, 97),
        ("streamed", WHOLE, HOST, 97),
        ("data and model", SPLIT, GRID_ROWS, 96),
    ):
        fitted(params, data, batch_size=size, epochs=1, stream=case == "streamed")
    return found


def networks() -> dict[str, Any]:
    """Predictions, costs, other networks and data, and the estimators."""
    figures, kept = {}, {}
    many = random.normal(size=(18000, 20))  # more than are computed at once
    A = NETWORK.predict(WHOLE, put(many, "data"))
    figures["predict"], kept["predict"] = apart(A, NETWORK.predict(FIRST, many)), specs(A)
    A = NETWORK.predict(WHOLE, many, stream=True)
    figures["predict, streamed"] = apart(A, NETWORK.predict(FIRST, many))
    for name in ("cost", "cost_and_gradients"):
        ours, theirs = (getattr(NETWORK, name)(*each) for each in ((WHOLE, *ROWS[:2]), (FIRST, X, Y)))
        figures[name] = apart(ours, theirs)
    many = {"batch_size": 5000, "epochs": 1, "metrics": "accuracy"}
    big = random.normal(size=(18000, 20)), np.eye(3)[random.integers(0, 3, 18000)], np.ones(18000)
    there = tuple(put(array, "data") for array in big)
    figures["evaluate"] = differ(fitted(WHOLE, there, **many), fitted(FIRST, big, **many))

    stack = NETWORK.initialize(seed=[0, 1, 2, 3], stack=4, dtype="float64")
    rows = [np.arange(400), np.arange(100, 500), np.arange(50), np.arange(77)]
    how = {"batch_size": 97, "epochs": 2}
    expected = fitted(stack, HOST, **how)
    figures["stack"] = differ(fitted(put(stack), ROWS, **how), expected)
    found = fitted(put(stack, "data"), tuple(map(put, HOST)), **how)
    figures["stack split"], kept["stack split"] = differ(found, expected), specs(found[0])
    expected = fitted(stack, HOST, rows=rows, **how)
    figures["stack, each its rows"] = differ(fitted(put(stack), ROWS, rows=rows, **how), expected)

    sine = pnn.Activation("sine", lambda xp, Z: xp.sin(Z), lambda xp, Z: xp.cos(Z))
    layers = (20, 8, pnn.BatchNorm(), sine, 3, "softmax")
    net = pnn.Network(layers, loss="categorical_cross_entropy")
    codes = np.argmax(Y, axis=1)
    data = (X * 100).astype("uint8"), codes, HOST[2]
    first = net.initialize(seed=0, dtype="float64")
    found = fitted(put(first), [put(array, "data") for array in data], net, batch_size=97, epochs=2)
    figures["layers, bytes"] = differ(found, fitted(first, data, net, batch_size=97, epochs=2))
    net = pnn.Network((20, 4, 1), ("relu", "sigmoid"), "binary_cross_entropy")
    data, first = (X, codes == 1, HOST[2]), net.initialize(seed=0, dtype="float64")
    found = fitted(put(first), [put(array, "data") for array in data], net, batch_size=97, epochs=2)
    figures["booleans"] = differ(found, fitted(first, data, net, batch_size=97, epochs=2))
    return {"apart": figures, "split": kept}


def estimators() -> dict[str, Any]:
    """The estimators, with X over the mesh; their copies and moves."""
    figures, kept = {}, {}
    warnings.simplefilter("ignore")  # so few epochs do not converge
    how: dict[str, Any] = {"hidden_layer_sizes": (16,), "max_iter": 4, "random_state": 0}
    y = np.argmax(Y, axis=1)
    for name, targets, options in (
        ("labels on the host", y, {}),
        ("labels split", put(y, "data"), {"early_stopping": True}),
        ("words", np.array(["a", "b", "c"])[y], {"solver": "sgd", "scoring": "accuracy"}),
        ("lbfgs", y, {"solver": "lbfgs"}),
    ):
        found = pnn.MLPClassifier(**how, **options).fit(ROWS[0], targets)
        expected = pnn.MLPClassifier(**how, **options).fit(X, to_host(targets))
        figures[name] = apart(found.coefs_, expected.coefs_)
        P_found = found.predict_proba(ROWS[0])
        kept[name] = specs(P_found)
        figures[f"{name}: probabilities"] = apart(P_found, expected.predict_proba(X))
        figures[f"{name}: score"] = abs(
            found.score(ROWS[0], targets) - expected.score(X, to_host(targets))
        )
    found = pnn.MLPRegressor(**how).fit(ROWS[0], ROWS[2])
    figures["regressor"] = apart(found.coefs_, pnn.MLPRegressor(**how).fit(X, HOST[2]).coefs_)
    kept["regressor"] = specs(found.predict(ROWS[0]))
    there = pnn.MLPRegressor(**how, backend="jax", device=LINE).fit(X, HOST[2])
    figures["moved there"] = apart(there.predict(X), found.predict(ROWS[0]))
    again = pickle.loads(pickle.dumps(there))
    figures["pickled"] = apart(again.predict(X), there.predict(X))
    back = copy.deepcopy(found).to("numpy")
    figures["to numpy"] = apart(back.predict(X), found.predict(ROWS[0]))
    figures["and back"] = apart(back.to("jax", LINE).predict(ROWS[0]), found.predict(ROWS[0]))
    return {"apart": figures, "split": kept}


def places() -> dict[str, Any]:
    """The names of meshes, and what is refused."""
    backend, grid = of(ROWS[0]), of(SPLIT[0][0])
    alone = Mesh(DEVICES[:1], ("data",))
    explicit = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))
    X_explicit, first = put(X, "data", mesh=explicit), put(FIRST, mesh=explicit)
    one = get("jax").asarray(X)
    return {
        "names": [repr(backend), repr(grid), repr(of(put(X, mesh=Mesh(DEVICES[[2, 0, 1, 3]], ("a",)))))],
        "the same": [
            of(WHOLE[0][0]) is backend,
            of(jax.numpy.sum(ROWS[0])) is backend,
            get("jax", LINE) is backend,
            get("jax", NamedSharding(LINE, P())) is backend,
            get("jax", "data=4 over cpu:0-3") is backend,
            get("jax", "data=2,model=2 over cpu:0,cpu:1-3") is grid,
            pickle.loads(pickle.dumps(backend)) is backend,
            of(put(X, "data", mesh=alone)) is get("jax", "cpu:0"),
            get("jax", alone) is get("jax", "cpu:0"),
        ],
        "refused": {
            "another place": refused(lambda: NETWORK.predict(WHOLE, one)),
            "the host": refused(lambda: NETWORK.predict(WHOLE, X)),
            "a splitting sharding": refused(lambda: get("jax", NamedSharding(LINE, P("data")))),
            "devices that are not here": refused(lambda: get("jax", "data=8 over cpu:0-7")),
            "no mesh": refused(lambda: get("jax", "data over here")),
            "explicit axes": refused(lambda: NETWORK.predict(first, X_explicit)),
            "rows that cannot be split": refused(lambda: put(X[:499], "data")),
        },
        "read": bool(np.array_equal(to_host(X_explicit), X)),
    }


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
