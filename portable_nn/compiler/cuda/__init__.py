"""The target CUDA: a step becomes few kernels and cuBLAS's products, replayed as one CUDA graph."""

from portable_nn.compiler.cuda.device import StepMode, step_mode
from portable_nn.compiler.cuda.scan import CudaScan

__all__ = ["CudaScan", "StepMode", "step_mode"]
