"""NVIDIA's compiler accepts the kernels; it needs no GPU."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

import pytest
from cuda_helpers import needs_gcc, program_of
from helpers import HIDDEN, samples

import portable_nn as pnn
from portable_nn.compiler.cuda.device import OPTIONS

pytestmark = [pytest.mark.usefixtures("host_only"), needs_gcc]


def nvrtc() -> ctypes.CDLL | None:
    """NVIDIA's compiler, where its wheel is installed: it needs no GPU."""
    found = importlib.util.find_spec("nvidia")
    roots = [] if found is None else found.submodule_search_locations
    paths = [path for root in roots for path in Path(root).rglob("libnvrtc.so.*")]
    return ctypes.CDLL(str(paths[0])) if paths else None


@pytest.mark.skipif(nvrtc() is None, reason="NVIDIA's compiler (nvidia-cuda-nvrtc) is not installed")
@pytest.mark.parametrize(  # the oldest that CUDA 13 knows, and a recent one
    ("architecture", "stack"), [("sm_75", ()), ("sm_100", (3,))], ids=["one", "stack"]
)
def test_nvidias_compiler_accepts_the_kernels_without_a_warning(architecture, stack, train, random):
    library, program = nvrtc(), ctypes.c_void_p()
    options = [option.encode() for option in (*OPTIONS, f"--gpu-architecture={architecture}")]
    for hidden in (HIDDEN[:5], HIDDEN[5:]):
        sizes = (7, *[9] * len(hidden), 3)
        net = pnn.Network(sizes, (*hidden, "softmax"), "categorical_cross_entropy")
        X, Y = samples(random, 60, 7, 3, "float32")
        params = net.initialize(stack=stack)
        train(net, params, X, Y, pnn.AdamW(), 1, 16, l2=0.1, clip_norm=0.5, dropout=0.25)
        source = program_of(train).source.encode()
        assert library.nvrtcCreateProgram(ctypes.byref(program), source, b"step", 0, None, None) == 0
        given = (ctypes.c_char_p * len(options))(*options)
        status = library.nvrtcCompileProgram(program, len(options), given)
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        library.nvrtcDestroyProgram(ctypes.byref(program))
        assert (status, log.value) == (0, b"")
