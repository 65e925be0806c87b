"""Feed-forward neural networks on the arrays you already have.

The forward and backward equations are written once, in `portable_nn.equations`, against the Python
array API standard, and run on NumPy, CuPy, PyTorch, JAX and array_api_strict.
"""

from typing import TYPE_CHECKING, Any

from portable_nn import backends, schedules
from portable_nn.backends import show_backends
from portable_nn.equations import Activation, Loss, huber, leaky_relu, pinball
from portable_nn.errors import BackendUnavailableError, NonFiniteCostError, UnknownBackendError
from portable_nn.network import Network
from portable_nn.optimizers import SGD, Adam, AdamW, Optimizer, OptimizerState, RMSprop
from portable_nn.training import Callback, EarlyStopping, History, ProgressBar, TrainingState, fit

if TYPE_CHECKING:
    from portable_nn.estimators import LossCurveDisplay as LossCurveDisplay
    from portable_nn.estimators import MLPClassifier as MLPClassifier
    from portable_nn.estimators import MLPRegressor as MLPRegressor

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "BackendUnavailableError",
    "Callback",
    "EarlyStopping",
    "History",
    "Loss",
    "Network",
    "NonFiniteCostError",
    "Optimizer",
    "OptimizerState",
    "ProgressBar",
    "RMSprop",
    "TrainingState",
    "UnknownBackendError",
    "backends",
    "fit",
    "huber",
    "leaky_relu",
    "pinball",
    "schedules",
    "show_backends",
]

ESTIMATORS = ("LossCurveDisplay", "MLPClassifier", "MLPRegressor")  # they need scikit-learn, an extra


def __getattr__(name: str) -> Any:
    """The estimators, imported with scikit-learn when first asked for."""
    if name not in ESTIMATORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from portable_nn import estimators  # noqa: PLC0415

    return getattr(estimators, name)


def __dir__() -> list[str]:
    import importlib.util  # noqa: PLC0415

    is_there = importlib.util.find_spec("sklearn") is not None
    return [*globals(), *(ESTIMATORS if is_there else ())]
