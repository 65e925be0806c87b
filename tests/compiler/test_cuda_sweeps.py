"""Hyperparameters are values for a GPU too: another one compiles no kernel and captures no graph."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from cuda_helpers import needs_gcc, scan_on
from helpers import SWEEPS, VALUES, network, problem

import portable_nn as pnn
from portable_nn.backends.numpy_backend import NumpyBackend

pytestmark = [pytest.mark.usefixtures("host_only"), needs_gcc]


@pytest.mark.parametrize("group", SWEEPS)
def test_fifty_values_of_each_hyperparameter_are_captured_once(
    group, device, forget, random, monkeypatch
):
    events = []
    for name in ("compile", "capture"):
        original = getattr(device, name)
        monkeypatch.setattr(
            device,
            name,
            lambda *a, name=name, original=original: (events.append(name), original(*a))[1],
        )
    monkeypatch.setattr(NumpyBackend, "scan", lambda self, step: scan_on(device, True, step))
    forget()
    net = network("tanh")
    params, X, Y = problem(net, random, n=10)
    first = None
    for options in SWEEPS[group]:
        results = []
        for value in VALUES:
            trained, _ = pnn.fit(net, params, X, Y, batch_size=5, epochs=1, **options(value))
            results.append(trained[0][0])
            first = first or list(events)
        assert not any(np.array_equal(a, b) for a, b in pairwise(results))
    assert {*first} == {"compile", "capture"}
    assert events == first
