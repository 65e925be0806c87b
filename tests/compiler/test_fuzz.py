"""Random trainings give the bits of array_api_strict, where every step is eager.

array_api_strict rounds as NumPy does from NumPy 2.2 on; before, eager steps of NumPy are compared with.

The environment variable PORTABLE_NN_FUZZ says how many; PORTABLE_NN_FUZZ_START is the first one's seed.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from conftest import forget_steps
from fuzz_problems import make_problem

import portable_nn as pnn
from portable_nn.compiler.numpy import loop_cache, program, steps

TRAININGS = int(os.environ.get("PORTABLE_NN_FUZZ", "200"))
START = int(os.environ.get("PORTABLE_NN_FUZZ_START", "0"))
IS_LIKE_STRICT = np.lib.NumpyVersion(np.__version__) >= "2.2.0"
AT_ONCE = 20  # trainings of one test
FEW = 5  # a tenth of the trainings is of so few networks that numba compiles little: 2 of AT_ONCE
EVERYTHING = os.environ.get("PORTABLE_NN_FUZZ") is not None  # then loops of user-defined functions too

pytestmark = pytest.mark.usefixtures("host_only")


def outcome(seed, few, backend):
    """Costs, parameters and slots after the training; or the class of the error, and its parameters."""
    (net, params, X, Y, *rest), options, _ = make_problem(seed, few)
    if "sample_weight" in options:
        options["sample_weight"] = backend.asarray(options["sample_weight"].astype(X.dtype))
    X, Y = backend.asarray(X), backend.asarray(Y)
    params = [(backend.asarray(W), backend.asarray(b)) for W, b in params]
    options["validation"] = (X, Y)
    try:
        params, history = pnn.fit(net, params, X, Y, *rest, **options)
    except pnn.NonFiniteCostError as error:
        return [
            "not finite",
            error.epoch,
            *[backend.to_numpy(a) for layer in error.params for a in layer],
        ]
    slots = [a for slot in history.optimizer_state.slots for layer in slot for a in layer]
    arrays = [*[a for layer in params for a in layer], *slots]
    return [history.cost, history.validation_cost, *map(backend.to_numpy, arrays)]


@pytest.mark.parametrize("first", range(START, START + TRAININGS, AT_ONCE))
def test_random_trainings_give_the_bits_of_eager_steps(first, monkeypatch, count):
    reference = pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    numpy, strict = pnn.backends.get("numpy"), pnn.backends.get(reference.__name__)
    monkeypatch.setattr(steps, "FEW_STEPS", 0)
    used, run_steps = [], program.BoundProgram.run_steps

    def watched(self, *given):
        used.append(self.program)
        return run_steps(self, *given)

    monkeypatch.setattr(program.BoundProgram, "run_steps", watched)
    for seed in range(first, min(first + AT_ONCE, START + TRAININGS)):
        few = seed % 10 == 0
        by_loops = loop_cache.installed() and (few or (EVERYTHING and seed % 25 == 1))
        monkeypatch.setattr(program, "PATIENCE", (0.0, 0.0) if by_loops else (1e9, 1e9))
        forget_steps()
        used.clear()
        found = outcome(seed, few, numpy)
        with monkeypatch.context() as patch:
            if not IS_LIKE_STRICT:
                forget_steps()
                patch.setattr(steps.CompiledStep, "program", lambda *_, **__: None)
            expected = outcome(seed, few, strict if IS_LIKE_STRICT else numpy)
        assert len(found) == len(expected), seed
        for one, other in zip(found, expected, strict=True):
            assert getattr(one, "dtype", None) == getattr(other, "dtype", None), seed
            np.testing.assert_array_equal(one, other, err_msg=f"training {seed}")
        kinds = make_problem(seed, few).kinds
        assert used or kinds != ("built-in",), f"training {seed} ran eagerly"
        for kind in kinds:
            count("random trainings", kind)
        how = "eager" if not used else "loops" if used[0].bind_loops is not None else "blocks"
        count("random trainings run by", how)
    forget_steps()
