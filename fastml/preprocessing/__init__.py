"""Features to numbers of one scale: scikit-learn's scalers and encoder, fast, and without scikit-learn."""

from .. import _threads as _threads  # first: it waits while another thread imports fastml itself
from .extremes import MaxAbsScaler, MinMaxScaler
from .normalizer import Normalizer
from .one_hot import OneHotEncoder
from .robust import RobustScaler
from .standard import StandardScaler

__all__ = ["MaxAbsScaler", "MinMaxScaler", "Normalizer", "OneHotEncoder", "RobustScaler", "StandardScaler"]
