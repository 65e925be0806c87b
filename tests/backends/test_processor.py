"""How many networks are trained as one, and by how many threads."""

from __future__ import annotations

import os

import array_api_compat.numpy
import pytest

from portable_nn.backends import get
from portable_nn.backends.base import Backend
from portable_nn.backends.numpy_backend import NumpyBackend


class Other(Backend):
    """A library that says nothing about it."""

    name, package = "other", "numpy"

    @classmethod
    def namespace(cls):
        return array_api_compat.numpy  # an old NumPy is no array API namespace itself


@pytest.mark.usefixtures("host_only")
def test_a_block_has_the_networks_that_fit_into_a_cache_together():
    numpy = get("numpy")
    counts = [numpy.networks_at_once(size) for size in (0, 1_000, 100_000, 250_000, 10**9)]
    assert counts == sorted(counts, reverse=True)
    assert 25 < counts[3] < 40
    assert counts[-1] == 8  # a step's calls would take longer than its work


@pytest.mark.usefixtures("host_only")
def test_threads_are_the_cores_that_may_be_used_and_no_more_than_omp_num_threads(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3, 7}, raising=False)
    for asked, expected in [("", 3), ("2", 2), ("1,4", 1), ("8", 3), ("many", 3), ("0", 3), ("-1", 3)]:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert NumpyBackend().threads() == expected
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert NumpyBackend().threads() == 3


@pytest.mark.usefixtures("host_only")
def test_another_library_trains_a_stack_as_a_whole_unless_it_says_otherwise():
    other = Other()
    assert other.networks_at_once(1) is None
    assert other.threads() == 1
