"""Feed-forward neural networks on the arrays you already have.

The forward and backward equations are written once, in `portable_nn.equations`, against the Python
array API standard, and run on NumPy, CuPy, PyTorch, JAX and array_api_strict.

What is here is imported when it is first asked for: ``import portable_nn`` alone takes hardly any time.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from portable_nn.version import __version__ as __version__

if TYPE_CHECKING:
    from portable_nn import backends as backends
    from portable_nn import distributed as distributed
    from portable_nn import interchange as interchange
    from portable_nn import model_selection as model_selection
    from portable_nn import schedules as schedules
    from portable_nn.backends import show_backends as show_backends
    from portable_nn.ensembles import MLPEnsembleClassifier as MLPEnsembleClassifier
    from portable_nn.ensembles import MLPEnsembleRegressor as MLPEnsembleRegressor
    from portable_nn.equations import Activation as Activation
    from portable_nn.equations import Loss as Loss
    from portable_nn.equations import huber as huber
    from portable_nn.equations import leaky_relu as leaky_relu
    from portable_nn.equations import pinball as pinball
    from portable_nn.equations import relu as relu
    from portable_nn.errors import BackendUnavailableError as BackendUnavailableError
    from portable_nn.errors import ModelFormatError as ModelFormatError
    from portable_nn.errors import NonFiniteCostError as NonFiniteCostError
    from portable_nn.errors import OtherProcessError as OtherProcessError
    from portable_nn.errors import UnknownBackendError as UnknownBackendError
    from portable_nn.estimators import LossCurveDisplay as LossCurveDisplay
    from portable_nn.estimators import MLPClassifier as MLPClassifier
    from portable_nn.estimators import MLPRegressor as MLPRegressor
    from portable_nn.estimators import MLPTransformer as MLPTransformer
    from portable_nn.files import load as load
    from portable_nn.files import save as save
    from portable_nn.interchange import to_c as to_c
    from portable_nn.interchange import to_javascript as to_javascript
    from portable_nn.layers import BatchNorm as BatchNorm
    from portable_nn.layers import Dense as Dense
    from portable_nn.layers import Embedding as Embedding
    from portable_nn.layers import Layer as Layer
    from portable_nn.layers import LayerNorm as LayerNorm
    from portable_nn.layers import Parameter as Parameter
    from portable_nn.layers import ParametricActivation as ParametricActivation
    from portable_nn.layers import Periodic as Periodic
    from portable_nn.layers import PiecewiseLinear as PiecewiseLinear
    from portable_nn.layers import Scale as Scale
    from portable_nn.layers import SharedDense as SharedDense
    from portable_nn.network import Network as Network
    from portable_nn.optimizers import SGD as SGD
    from portable_nn.optimizers import Adam as Adam
    from portable_nn.optimizers import AdamW as AdamW
    from portable_nn.optimizers import Optimizer as Optimizer
    from portable_nn.optimizers import OptimizerState as OptimizerState
    from portable_nn.optimizers import RMSprop as RMSprop
    from portable_nn.stores import Columns as Columns
    from portable_nn.stores import ParquetRows as ParquetRows
    from portable_nn.tabular import IntervalDisplay as IntervalDisplay
    from portable_nn.tabular import ReliabilityDisplay as ReliabilityDisplay
    from portable_nn.tabular import TabularClassifier as TabularClassifier
    from portable_nn.tabular import TabularRegressor as TabularRegressor
    from portable_nn.training import Callback as Callback
    from portable_nn.training import Checkpoint as Checkpoint
    from portable_nn.training import EarlyStopping as EarlyStopping
    from portable_nn.training import History as History
    from portable_nn.training import ProgressBar as ProgressBar
    from portable_nn.training import TrainingState as TrainingState
    from portable_nn.training import WindowShuffle as WindowShuffle
    from portable_nn.training import fit as fit

# the rooms, and which names of each are here, too
NAMES: dict[str, tuple[str, ...]] = {
    "backends": ("show_backends",),
    "distributed": (),
    "equations": ("Activation", "Loss", "huber", "leaky_relu", "pinball", "relu"),
    "errors": (
        "BackendUnavailableError",
        "ModelFormatError",
        "NonFiniteCostError",
        "OtherProcessError",
        "UnknownBackendError",
    ),
    "files": ("load", "save"),
    "interchange": ("to_c", "to_javascript"),
    "layers": (
        "BatchNorm",
        "Dense",
        "Embedding",
        "Layer",
        "LayerNorm",
        "Parameter",
        "ParametricActivation",
        "Periodic",
        "PiecewiseLinear",
        "Scale",
        "SharedDense",
    ),
    "network": ("Network",),
    "optimizers": ("SGD", "Adam", "AdamW", "Optimizer", "OptimizerState", "RMSprop"),
    "stores": ("Columns", "ParquetRows"),
    "training": (
        "Callback",
        "Checkpoint",
        "EarlyStopping",
        "History",
        "ProgressBar",
        "TrainingState",
        "WindowShuffle",
        "fit",
    ),
}
WITH_SCIKIT_LEARN: dict[str, tuple[str, ...]] = {
    "ensembles": ("MLPEnsembleClassifier", "MLPEnsembleRegressor"),
    "estimators": ("LossCurveDisplay", "MLPClassifier", "MLPRegressor", "MLPTransformer"),
    "tabular": (
        "IntervalDisplay",
        "ReliabilityDisplay",
        "TabularClassifier",
        "TabularRegressor",
    ),
}
WITHOUT_NAMES = ("checks", "compiler", "model_selection", "schedules", "storage", "trees")
ROOMS = (*NAMES, *WITH_SCIKIT_LEARN, *WITHOUT_NAMES)
ROOM_OF = {name: room for room, names in (NAMES | WITH_SCIKIT_LEARN).items() for name in names}
ELSEWHERE = {  # what other libraries call it
    "RMSProp": "RMSprop",
    "Sequential": "Network",
    "MLP": "Network",
    "train": "fit",
    "gradient_check": "Network.check_gradients",
}

__all__ = ["backends", "distributed", "interchange", "schedules"]
__all__ += [name for names in NAMES.values() for name in names]
if importlib.util.find_spec("sklearn") is not None:
    __all__ += [name for names in WITH_SCIKIT_LEARN.values() for name in names]
    __all__ += ["model_selection"]
__all__.sort()


def __getattr__(name: str) -> Any:
    """What is imported when it is first asked for."""
    if name in ROOM_OF:
        found = getattr(importlib.import_module(f"{__name__}.{ROOM_OF[name]}"), name)
        globals()[name] = found
        return found
    if name in ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    here = f"; here: {ELSEWHERE[name]}" if name in ELSEWHERE else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{here}", name=name)


def __dir__() -> list[str]:
    return [*__all__, "__version__", "__doc__", "__name__", "__path__"]
