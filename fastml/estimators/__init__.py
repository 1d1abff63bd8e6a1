"""Multi-layer perceptrons as scikit-learn estimators; ``fastml.MLPClassifier`` loads this on first use."""

from .. import _threads as _threads  # first: it waits while another thread imports fastml itself

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError("the estimators need scikit-learn 1.6 or later: pip install scikit-learn") from error

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
