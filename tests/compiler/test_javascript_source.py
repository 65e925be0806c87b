"""What is written in JavaScript from functions of arrays, whatever their sizes are."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from javascript_helpers import Case, run_cases, worst
from programs import node, run
from training_helpers import traced

from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.javascript import Named, NamedStep, source_of
from portable_nn.compiler.javascript.parentheses import Binding, binding
from portable_nn.compiler.javascript.sizes import PRIMES, Sizes

pytestmark = pytest.mark.usefixtures("host_only")
FLOAT = np.dtype("float64")
GIVEN = {
    "X": ("rows", "columns"),
    "Y": ("rows", "columns"),
    "W": ("units", "rows"),
    "w": ("rows",),
    "c": (),
}
LENGTHS = {"rows": 4, "columns": 5, "units": 3}


def in_place(X: Any, Y: Any, W: Any, w: Any, c: Any) -> dict[str, Any]:
    """In one loop each overwrites an array that the other one reads."""
    S = X + Y
    return {"X": 2.0 * S, "Y": S - X, "c": c + np.sum(X)}


def views(X: Any, Y: Any, W: Any, w: Any, c: Any) -> dict[str, Any]:
    """Products of transposed arrays and of parts, and results that lie otherwise than row-major."""
    return {
        "product": X @ Y.T,
        "transposed": (X * 2.0).T,
        "twice": X * 2.0,
        "same": X,
        "part": X[1:3, :] @ Y[1:3, :].T,
        "column": W @ w[:, None],
        "turned": X.T @ W.T,
    }


def reductions(X: Any, Y: Any, W: Any, w: Any, c: Any) -> dict[str, Any]:
    return {
        "mean": np.mean(X, axis=-1),
        "means": np.mean(X, axis=0, keepdims=True),
        "sum": np.sum(X, axis=0),
        "turned": np.sum(X.T, axis=1),
        "all": np.max(X * Y),
        "least": np.min(X, axis=-1, keepdims=True),
        "every": np.all(X > -100.0, axis=0).astype("float64"),
    }


def others(X: Any, Y: Any, W: Any, w: Any, c: Any) -> dict[str, Any]:
    table = np.arange(3.0)
    return {
        "joined": np.concatenate([X, Y, X], axis=0),
        "chosen": np.where(X > Y, X - Y * (X + Y), -(X - Y)),
        "table": np.sum(table * c, axis=0),
        "logical": (np.logical_and(X > 0.0, ~(Y > 0.0))).astype("float64"),
        "powers": (X * X + 1.0) ** -0.5 / (1 + np.exp(-np.abs(Y))) - (c - (X - (Y - c))),
        "scaled": c * X.shape[0] + c / X.shape[1] + (1 / X.shape[1]) * c,
    }


FUNCTIONS = {f.__name__: f for f in (in_place, views, reductions, others)}


def step_of(function: Any, **others: Any) -> NamedStep:
    given = [Named(name, shape, FLOAT) for name, shape in GIVEN.items()]
    return NamedStep(function, given, **others)


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    random, cases = np.random.default_rng(5), {}
    pool = {name: random.normal(size=[LENGTHS[size] for size in shape]) for name, shape in GIVEN.items()}
    for name, function in FUNCTIONS.items():
        found = function(*(x.copy() for x in pool.values()))
        text = source_of({"create": step_of(function)}, "a test")
        cases[name] = Case([(text, LENGTHS, {})], pool, [(0, {})], found)
    results = run_cases(tmp_path_factory.mktemp("functions"), cases)
    return {name: (results[name], case.expected) for name, case in cases.items()}


@traced
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_computes_what_numpy_computes(computed, name):
    assert worst(*computed[name]) <= 1e-14


REFUSED = {
    "a size and a number": (lambda X, *_: {"a": X + (X.shape[0] + 1)}, "depends on the sizes"),
    "a size in a root": (lambda X, *_: {"a": X / X.shape[0] ** 0.5}, "depends on the sizes"),
    "two sizes": (lambda X, *_: {"a": X * X.shape[0] * X.shape[1]}, None),
    "a turned array": (lambda X, *_: {"a": np.flip(X, axis=0) + 1.0}, "depends on the sizes"),
    "an unknown operation": (lambda X, Y, *_: {"a": np.arctan2(X, Y)}, "no code for arctan2"),
    "an unknown function": (lambda X, *_: {"a": np.cumsum(X, axis=0)}, "no code for cumsum"),
    "a swap": (lambda X, Y, *_: {"X": Y, "Y": X}, "`X` becomes an argument that is overwritten"),
    "another shape": (lambda X, *_: {"X": X[:2, :] * 1.0}, "`X` becomes float64 .* accepted: a result"),
    "another dtype": (lambda X, *_: {"X": X > 0.0}, "`X` becomes bool"),
    "an error": (lambda X, Y, *_: {"a": X @ Y}, "a product of"),
    "a look at a value": (lambda X, *_: {"a": X if np.sum(X) > 0 else -X}, "the values are read"),
}


@traced
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_is_refused(name):
    function, message = REFUSED[name]
    if message is None:  # each number by itself is a size
        assert "rows" in source_of({"create": step_of(function)}, "a test")
        return
    with pytest.raises(UntraceableError, match=message):
        source_of({"create": step_of(function)}, "a test")


@pytest.mark.parametrize("name", ["i", "v12", "buffer3", "arrays", "size", "exp", "dot", "a b"])
def test_names_that_the_text_needs_itself_are_refused(name):
    step = NamedStep(lambda x: {"a": x + 1.0}, [Named(name, ("count",), FLOAT)])
    with pytest.raises(UntraceableError, match=f"called .*{name}.* accepted: other names"):
        source_of({"create": step}, "a test")


def test_a_size_and_an_array_of_one_name_are_refused():
    step = NamedStep(lambda x: {"a": x + 1.0}, [Named("x", ("x",), FLOAT)])
    with pytest.raises(UntraceableError, match="accepted: other names"):
        source_of({"create": step}, "a test")


def test_products_of_sizes_are_read_from_their_factors():
    sizes = Sizes.of(["n0", "n1", "B"], PRIMES[0])
    n0, n1, B = PRIMES[0][:3]
    assert [sizes.text(n) for n in (0, 1, 7, n0, 2 * n1 * B, n0 * n0)] == [
        *("0", "1", "7", "n0", "2 * n1 * B", "n0 * n0"),
    ]
    assert [sizes.number(x) for x in (B, float(B), 1 / B)] == ["B", "B", "(1 / B)"]
    assert [sizes.number(x) for x in (0.5, 2, 0, 1e300, 1e-300, -B, 2 * B, True, float("nan"))] == [
        None
    ] * 9


def test_expressions_bind_by_their_operators_outside_of_parentheses():
    expected = {
        **{"x": Binding.ATOM, "x[i * n]": Binding.ATOM, "exp(x + 1)": Binding.ATOM},
        **{"x * (y + 1)": Binding.PRODUCT, "x / y * z": Binding.PRODUCT, "x * y - z": Binding.SUM},
        **{"-x": Binding.LOOSE, "!x": Binding.LOOSE, "x > y": Binding.LOOSE, "c ? x : y": Binding.LOOSE},
    }
    assert {text: binding(text) for text in expected} == expected


SCRIPT = """
{text}
const found = [];
const attempt = (...given) => {{
  try {{ create(...given); }} catch (error) {{ found.push(`${{error.name}}: ${{error.message}}`); }}
}};
attempt({{ N: 2, n: 3 }}, {{ X: new Float64Array(5) }});
attempt({{ N: 2, n: 3 }}, {{ X: new Float32Array(6) }});
const X = new Float64Array([1, 2, 3, 4, 5, 6]);
const {{ arrays, step }} = create({{ N: 2, n: 3 }}, {{ X }});
found.push(arrays.X === X, arrays.twice.length);
step(1);
found.push(Array.from(arrays.twice));
for (const size of [0, 3, NaN]) {{
  try {{ step(size); }} catch (error) {{ found.push(error.message); }}
}}
console.log(JSON.stringify(found));
"""


def test_arrays_are_checked_and_shared_and_a_script_declares_the_function(tmp_path):
    step = NamedStep(lambda X: {"twice": X * 2.0}, [Named("X", ("N", "n"), FLOAT)], "N")
    with pytest.raises(UntraceableError, match=r"\['n'\]"):
        source_of({"create": step}, "a test")
    step = NamedStep(lambda X: {"twice": X * 2.0}, [Named("X", ("N", "n0"), FLOAT)], "N")
    text = source_of({"create": step}, "a test", is_module=False)
    assert "export" not in text
    (tmp_path / "main.cjs").write_text(SCRIPT.format(text=text).replace("n: 3", "n0: 3"))
    assert json.loads(run(*node(), "main.cjs", cwd=tmp_path)) == [
        "RangeError: X is no Float64Array of 6 numbers",
        "RangeError: X is no Float64Array of 6 numbers",
        *(True, 6, [2, 4, 6, 0, 0, 0]),
        *(f"N is {size}" for size in ("0", "3", "NaN")),
    ]
