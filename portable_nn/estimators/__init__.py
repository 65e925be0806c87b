"""scikit-learn's multi-layer perceptrons on any array: the only room that imports scikit-learn."""

try:
    from sklearn.utils.validation import validate_data  # noqa: F401  (scikit-learn has it since 1.6)
except ImportError as error:
    raise ImportError(
        "the estimators need scikit-learn 1.6 or newer; install it with: pip install -U scikit-learn"
    ) from error

from portable_nn.estimators.classifier import MLPClassifier
from portable_nn.estimators.display import LossCurveDisplay
from portable_nn.estimators.regressor import MLPRegressor
from portable_nn.estimators.transformer import MLPTransformer

__all__ = ["LossCurveDisplay", "MLPClassifier", "MLPRegressor", "MLPTransformer"]
