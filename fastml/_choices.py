"""The options that are texts, each with its type: the stubs (*.pyi) read these lists, and `choice` checks by them.

Not loaded with fastml itself, whose import it would make a third of a millisecond longer.
"""

from typing import Literal

Reduced = Literal["mean", "sum"]
Reduction = Literal[Reduced, "none"]
ReducedKL = Literal["batchmean", Reduced]
ReductionKL = Literal[ReducedKL, "none"]
Approximate = Literal["none", "tanh"]
Activation = Literal[
    "relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "hard_swish", "sigmoid", "tanh", "softplus"
]  # fmt: skip
Unknown = Literal["error", "zeros"]
Convention = Literal["torch", "onnx"]
Anneal = Literal["cos", "linear"]
Mode = Literal["min", "max"]
ThresholdMode = Literal["rel", "abs"]
Normalize = Literal["true", "pred", "all", None]
KappaWeights = Literal[None, "linear", "quadratic"]
Averaged = Literal["binary", "micro", "macro", "weighted"]
Average = Literal[None, Averaged]
Norm = Literal["l1", "l2", "max"]
Frame = Literal["pandas", "polars", "pyarrow"]
Output = Literal["default", Frame, None]
HandleUnknown = Literal["error", "ignore", "infrequent_if_exist", "warn"]
Hidden = Literal[
    "identity", "relu", "tanh", "logistic", "gelu", "silu", "hard_swish", "elu", "leaky_relu", "softplus"
]  # fmt: skip
Solver = Literal["adagrad", "adam", "adamw", "lion", "rmsprop", "sgd"]
RegressionLoss = Literal["squared_error", "absolute_error", "huber"]
Rate = Literal["constant", "cosine", "invscaling", "adaptive"]
