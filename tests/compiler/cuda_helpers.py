"""What the tests of CUDA programs share."""

from __future__ import annotations

import functools

import array_api_compat.numpy
import pytest
from fake_cuda import COMPILER, FakeDevice
from helpers import samples

import portable_nn as pnn
from portable_nn.compiler.cuda import CudaScan
from portable_nn.compiler.cuda.program import CudaProgram

CLOSE = {"float64": 1e-12, "float32": 2e-5}
needs_gcc = pytest.mark.skipif(COMPILER is None, reason="no g++ here to compile kernels with")


def scan_on(device: FakeDevice, replay: bool, step) -> CudaScan:
    return CudaScan(*2 * [functools.partial(step, array_api_compat.numpy)], device, replay)


def program_of(train) -> CudaProgram:
    """The first program of the last training."""
    return next(iter(train.scans[-1].programs.values()))


def small_training(train, random, epochs=2, n=70, **options):
    net = pnn.Network((8, 16, 12, 3), ("relu", "tanh", "softmax"), "categorical_cross_entropy")
    X, Y = samples(random, n, 8, 3, "float32")
    options = {"l2": 0.1, "clip_norm": 1.0} | options
    return train(net, net.initialize(), X, Y, pnn.Adam(0.01), epochs, 16, **options)
