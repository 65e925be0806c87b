"""Models for other programs: ONNX, source code in C and JavaScript."""

from portable_nn.interchange.onnx_export import to_onnx
from portable_nn.interchange.sources import to_c, to_javascript

__all__ = ["to_c", "to_javascript", "to_onnx"]
