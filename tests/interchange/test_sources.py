"""Sources in C and JavaScript compute what the network predicts, for every activation."""

from __future__ import annotations

import json
import re
import shutil
import warnings

import numpy as np
import pytest
from source_helpers import (
    SANITIZED,
    STRICT,
    TOLERANCE,
    gcc,
    networks,
    node,
    rows_of,
    run,
    run_in_c,
    run_in_node,
    worst_difference,
)

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")


@pytest.fixture(scope="module")
def problems():
    """Networks, their parameters, rows, and what is predicted for them, by name and dtype."""
    random, found = np.random.default_rng(7), {}
    for dtype in TOLERANCE:
        for name, (net, params) in networks(dtype).items():
            if "hidden_float64" in name:  # the code differs from that of float32 by its types alone
                continue
            rows = rows_of(net.sizes[0], dtype, random)
            X = np.concatenate(list(rows.values()))
            with np.errstate(all="ignore"):
                found[name] = (net, params), dtype, rows, X, net.predict(params, X)
    return found


@pytest.fixture(scope="module")
def of_floats(problems):
    """Those of float32."""
    return {name: one for name, one in problems.items() if one[1] == "float32"}


def check(problems, found, margin, what):
    for name, (_, dtype, rows, _, expected) in problems.items():
        worst = margin(what, dtype, worst_difference(found[name], expected, rows))
        assert worst <= TOLERANCE[dtype], name


def test_c_gives_the_predictions_for_every_activation(problems, tmp_path, margin):
    for name, (model, *_) in problems.items():
        pnn.to_c(model, tmp_path / f"{name}.c")
    given = {name: (dtype, X) for name, (_, dtype, _, X, _) in problems.items()}
    check(problems, run_in_c(tmp_path, given, "-O2"), margin, "C")


def test_c_has_no_undefined_behaviour(of_floats, tmp_path, margin):
    for name, (model, *_) in of_floats.items():
        pnn.to_c(model, tmp_path / f"{name}.c")
    given = {name: (dtype, X) for name, (_, dtype, _, X, _) in of_floats.items()}
    check(of_floats, run_in_c(tmp_path, given, *SANITIZED), margin, "C, sanitized")


def test_javascript_gives_the_predictions_for_every_activation(problems, tmp_path, margin):
    for name, (model, *_) in problems.items():
        pnn.to_javascript(model, tmp_path / f"{name}.mjs")
    given = {name: (dtype, X) for name, (_, dtype, _, X, _) in problems.items()}
    check(problems, run_in_node(tmp_path, given), margin, "JavaScript")


NET = pnn.Network((3, 2), ("softmax",), "categorical_cross_entropy")


def user_defined(g):
    return pnn.Activation("mine", g, lambda xp, Z: xp.ones_like(Z))


def every_helper(xp, Z):
    A = xp.logaddexp(xp.sign(Z), xp.zeros_like(Z))
    return xp.maximum(xp.minimum(A, 5.0 * Z), -Z)


def network_with(activation):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its derivative is another
        return pnn.Network((3, 4, 2), ("tanh", activation), "squared_error")


REFUSED = {
    "unknown operation": (lambda xp, Z: xp.atan2(Z, Z + 1.0), "no code for arctan2"),
    "unknown function": (
        lambda xp, Z: Z / xp.linalg.vector_norm(Z, axis=-2, keepdims=True),
        "vector_norm",
    ),
    "a look at a value": (lambda xp, Z: Z if xp.any(Z > 0) else -Z, "values are read|function any"),
    "the mean of all rows": (lambda xp, Z: Z - xp.sum(Z, axis=-1, keepdims=True), "several rows"),
    "the number of rows": (lambda xp, Z: Z / Z.shape[-1], "number of rows"),
    "rows turned around": (lambda xp, Z: xp.flip(Z, axis=-1), "order of the rows|flip"),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_an_activation_that_cannot_be_written_is_named(what, tmp_path):
    g, why = REFUSED[what]
    net = network_with(user_defined(g))
    for write in (pnn.to_c, pnn.to_javascript):
        with pytest.raises(TypeError, match=f"'mine' of layer 2 cannot be written as .*{why}"):
            write((net, net.initialize()), tmp_path / "model.c")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "1st", "my-net", "naïve", "a b", "_x", 3])
def test_a_name_that_c_does_not_accept_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"`name`.*accepted: letters"):
        pnn.to_c((NET, NET.initialize()), tmp_path / "model.c", name=name)
    with pytest.raises(ValueError, match="the name of the file"):
        pnn.to_c((NET, NET.initialize()), tmp_path / "my-net.c")
    assert not list(tmp_path.iterdir())


def test_a_source_replaces_a_file_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "model.c"
    path.write_text("before")
    path.chmod(0o640)
    model = NET, NET.initialize()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full_disk)
        with pytest.raises(OSError, match="No space"):
            pnn.to_c(model, path)
    assert path.read_text() == "before"
    pnn.to_c(model, path)
    assert path.read_text().startswith("/*\n * model: 3 inputs; layers 2")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["model.c"]


def test_numbers_are_exact(tmp_path):
    random = np.random.default_rng(3)
    for dtype, bits in (("float32", "uint32"), ("float64", "uint64")):
        drawn = random.integers(0, 2 ** (8 * np.dtype(bits).itemsize), size=2000, dtype=bits).view(dtype)
        with np.errstate(all="ignore"):
            W = drawn[np.isfinite(drawn)][:1500].reshape(1, -1)
        W[0, :3] = -0.0, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
        net = pnn.Network((1500, 1), ("identity",), "squared_error")
        params = [(W, np.zeros((1, 1), dtype))]
        pnn.to_c((net, params), tmp_path / f"exact_{dtype}.c")
        pnn.to_javascript((net, params), tmp_path / f"exact_{dtype}.mjs")
        text = (tmp_path / f"exact_{dtype}.c").read_text()
        read = re.search(r"W1\[1500\] = \{(.*?)\};", text, re.S).group(1).replace("f", "")
        found = np.asarray([float(x) for x in read.split(",")[:-1]])
        assert np.array_equal(found.astype(dtype).view(bits), W[0].view(bits))
        # as JavaScript reads them: as doubles, which a Float32Array then rounds
        text = (tmp_path / f"exact_{dtype}.mjs").read_text()
        read = re.search(r"W1 = new Float..Array\(\[(.*?)\]\);", text, re.S).group(1)
        found = np.asarray([float(x) for x in read.split(",")[:-1]])
        assert np.array_equal(found.astype(dtype).view(bits), W[0].view(bits))


def test_a_module_refuses_rows_of_another_length(tmp_path):
    pnn.to_javascript((NET, NET.initialize()), tmp_path / "model.mjs")
    script = """
      import { predict } from "./model.mjs";
      try { predict([1, 2]); } catch (error) { console.log(error.name, error.message); }
      console.log(predict([1, 2, 3]).length, predict(new Float64Array(3)).length);
    """
    (tmp_path / "main.mjs").write_text(script)
    lines = run(*node(), "main.mjs", cwd=tmp_path).splitlines()
    assert lines == ["RangeError a row of 2 numbers was given; accepted: 3", "2 2"]


def test_compilers_have_nothing_to_warn_of_whatever_the_sizes(tmp_path):
    """gcc follows the loops where all lengths are known, as they are where all layers are alike."""
    for n in (1, 3, 4, 8, 64):
        net = pnn.Network((n, n, n), ("tanh", "sigmoid"), "squared_error")
        params = [(np.zeros((n, n)), np.zeros((n, 1)))] * 2
        pnn.to_c((net, params), tmp_path / f"sizes_{n}.c")
    files = sorted(path.name for path in tmp_path.iterdir())
    run(gcc(), *STRICT, "-O2", "-c", *files, cwd=tmp_path)


def test_more_than_one_source_goes_into_a_program_of_cpp_too(tmp_path):
    for name in ("one", "two"):
        pnn.to_c((NET, NET.initialize()), tmp_path / f"{name}.c")
    (tmp_path / "main.cpp").write_text(
        "#define ONE_DECLARATIONS\n#define TWO_DECLARATIONS\n"
        '#include "one.c"\n#include "two.c"\n#include "one.c"\n'
        "int main() { float x[ONE_INPUTS] = {1, 2, 3}, y[ONE_OUTPUTS], z[TWO_OUTPUTS];\n"
        "  one_predict(x, y); two_predict(x, z); return y[0] != z[0]; }\n"
    )
    run(gcc(), "-c", "one.c", "two.c", cwd=tmp_path)
    run(gcc(), "main.cpp", "one.o", "two.o", "-lm", "-o", "main", cwd=tmp_path)
    run("./main", cwd=tmp_path)


def test_two_sources_in_one_unit_of_c_or_cpp_have_no_name_in_common(tmp_path):
    g = pnn.Activation("mine", every_helper, lambda xp, Z: xp.ones_like(Z))
    for name, dtype in (("one", "float32"), ("two", "float32"), ("three", "float64")):
        net = network_with(g)
        pnn.to_c((net, net.initialize(dtype=dtype)), tmp_path / f"{name}.c")
    code = (
        '#include "one.c"\n#include "two.c"\n#include "three.c"\n'
        "int main(void) { float x[3] = {1, 2, 3}, y[2], z[2];\n"
        "  one_predict(x, y); two_predict(x, z); return y[0] != z[0]; }\n"
    )
    flags = {"main.c": STRICT, "main.cpp": [flag for flag in STRICT if "std" not in flag]}
    for main, given in flags.items():
        (tmp_path / main).write_text(code)
        run(gcc(), *given, main, "-lm", "-o", "main", cwd=tmp_path)
        run("./main", cwd=tmp_path)
    defined = re.findall(r"^static .*?(\w+)[(\[]", (tmp_path / "one.c").read_text(), re.M)
    assert len(defined) >= 9  # four tables, five helpers
    assert all(name.startswith("one_") for name in defined)


def test_what_is_written_is_the_same_each_time(tmp_path):
    model = NET, NET.initialize()
    for write, name in ((pnn.to_c, "model.c"), (pnn.to_javascript, "model.mjs")):
        write(model, tmp_path / name)
        first = (tmp_path / name).read_bytes()
        write(model, tmp_path / name)
        assert (tmp_path / name).read_bytes() == first
        assert f"portable_nn {pnn.__version__}" in first.decode()


def test_c_writes_to_no_memory_but_its_own_and_calls_nothing_but_functions_of_math(tmp_path):
    names = ("relu", "gelu", "selu", "softplus", "leaky_relu", "softmax", "sigmoid", "tanh", "exp")
    net = pnn.Network((4, *(3 for _ in names)), names, "squared_error")
    pnn.to_c((net, net.initialize()), tmp_path / "model.c")
    run(gcc(), "-fno-pie", "-c", "model.c", cwd=tmp_path)
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    symbols = [line.split()[-2:] for line in run("nm", "model.o", cwd=tmp_path).splitlines()]
    assert not [name for kind, name in symbols if kind in "bBcCdD"]  # nothing static is written to
    called = {name for kind, name in symbols if kind == "U"}
    assert called == {"expf", "expm1f", "log1pf", "tanhf"}


def test_what_is_no_number_is_none_in_javascript(tmp_path):
    pnn.to_javascript((NET, NET.initialize()), tmp_path / "model.mjs")
    inputs = NET.sizes[0]
    rows = [json.dumps([value] + [0.5] * (inputs - 1)) for value in (None, "", "1", True, [], 1)]
    calls = "".join(f"console.log(Number.isNaN(predict({row})[0]));" for row in rows)
    (tmp_path / "main.mjs").write_text(f'import {{ predict }} from "./model.mjs";{calls}')
    assert run(*node(), "main.mjs", cwd=tmp_path).split() == ["true"] * 5 + ["false"]
