"""Feed-forward neural networks on the arrays you already have.

The forward and backward equations are written once, in `portable_nn.equations`, against the Python
array API standard, and run on NumPy, CuPy, PyTorch, JAX and array_api_strict.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from portable_nn import backends, schedules
from portable_nn.backends import show_backends
from portable_nn.equations import Activation, Loss, huber, leaky_relu, pinball, relu
from portable_nn.errors import (
    BackendUnavailableError,
    ModelFormatError,
    NonFiniteCostError,
    UnknownBackendError,
)
from portable_nn.layers import (
    BatchNorm,
    Dense,
    Embedding,
    Layer,
    LayerNorm,
    Parameter,
    ParametricActivation,
    Periodic,
    PiecewiseLinear,
    Scale,
    SharedDense,
)
from portable_nn.network import Network
from portable_nn.optimizers import SGD, Adam, AdamW, Optimizer, OptimizerState, RMSprop
from portable_nn.training import (
    Callback,
    Checkpoint,
    EarlyStopping,
    History,
    ProgressBar,
    TrainingState,
    fit,
)
from portable_nn.version import __version__ as __version__

if TYPE_CHECKING:
    from portable_nn import interchange as interchange
    from portable_nn import model_selection as model_selection
    from portable_nn.ensembles import MLPEnsembleClassifier as MLPEnsembleClassifier
    from portable_nn.ensembles import MLPEnsembleRegressor as MLPEnsembleRegressor
    from portable_nn.estimators import LossCurveDisplay as LossCurveDisplay
    from portable_nn.estimators import MLPClassifier as MLPClassifier
    from portable_nn.estimators import MLPRegressor as MLPRegressor
    from portable_nn.estimators import MLPTransformer as MLPTransformer
    from portable_nn.files import load as load
    from portable_nn.files import save as save
    from portable_nn.interchange import to_c as to_c
    from portable_nn.interchange import to_javascript as to_javascript

__all__ = [
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "BackendUnavailableError",
    "BatchNorm",
    "Callback",
    "Checkpoint",
    "Dense",
    "EarlyStopping",
    "Embedding",
    "History",
    "Layer",
    "LayerNorm",
    "Loss",
    "ModelFormatError",
    "Network",
    "NonFiniteCostError",
    "Optimizer",
    "OptimizerState",
    "Parameter",
    "ParametricActivation",
    "Periodic",
    "PiecewiseLinear",
    "ProgressBar",
    "RMSprop",
    "Scale",
    "SharedDense",
    "TrainingState",
    "UnknownBackendError",
    "backends",
    "fit",
    "huber",
    "interchange",
    "leaky_relu",
    "load",
    "pinball",
    "relu",
    "save",
    "schedules",
    "show_backends",
    "to_c",
    "to_javascript",
]

# they need scikit-learn, an extra; and the rooms that they are in
ESTIMATORS = {
    "LossCurveDisplay": "estimators",
    "MLPClassifier": "estimators",
    "MLPEnsembleClassifier": "ensembles",
    "MLPEnsembleRegressor": "ensembles",
    "MLPRegressor": "estimators",
    "MLPTransformer": "estimators",
}
# rooms that are imported when one of their names is first asked for: few programs need them
LATER = {"load": "files", "save": "files", "to_c": "interchange", "to_javascript": "interchange"}
ROOMS = ("interchange", "model_selection")
ELSEWHERE = {  # what other libraries call it
    "RMSProp": "RMSprop",
    "Sequential": "Network",
    "MLP": "Network",
    "train": "fit",
    "gradient_check": "Network.check_gradients",
}

if importlib.util.find_spec("sklearn") is not None:
    __all__.extend([*ESTIMATORS, "model_selection"])


def __getattr__(name: str) -> Any:
    """What is imported when first asked for: the estimators, with scikit-learn, and later rooms."""
    room = ESTIMATORS.get(name) or LATER.get(name)
    if room is not None:
        return getattr(importlib.import_module(f"{__name__}.{room}"), name)
    if name in ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    here = f"; here: {ELSEWHERE[name]}" if name in ELSEWHERE else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{here}", name=name)


def __dir__() -> list[str]:
    return [*__all__, "__version__", "__doc__", "__name__", "__path__"]
