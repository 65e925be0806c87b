"""Models for other programs: ONNX, source code in C and JavaScript."""

from portable_nn.interchange.onnx_export import to_onnx
from portable_nn.interchange.onnx_pipelines import register_with_skl2onnx
from portable_nn.interchange.sources import to_c, to_javascript

__all__ = ["register_with_skl2onnx", "to_c", "to_javascript", "to_onnx"]
