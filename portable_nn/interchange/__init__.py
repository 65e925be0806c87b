"""Models of other programs, and for them: scikit-learn, PyTorch, Keras, ONNX, C and JavaScript."""

from portable_nn.interchange.keras_models import from_keras, to_keras
from portable_nn.interchange.onnx_export import to_onnx
from portable_nn.interchange.onnx_import import from_onnx
from portable_nn.interchange.onnx_pipelines import register_with_skl2onnx
from portable_nn.interchange.scikit_models import from_sklearn, to_sklearn
from portable_nn.interchange.sources import to_c, to_javascript
from portable_nn.interchange.torch_models import from_torch, to_torch

__all__ = [
    "from_keras",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "register_with_skl2onnx",
    "to_c",
    "to_javascript",
    "to_keras",
    "to_onnx",
    "to_sklearn",
    "to_torch",
]
