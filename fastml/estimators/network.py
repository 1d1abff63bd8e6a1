"""The network behind an estimator: how it is built, run, and shown as scikit-learn shows its own."""

import itertools

import numpy as np

from .. import nn
from .._memory import empty

ACTIVATIONS = {
    "identity": None,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hard_swish": nn.Hardswish,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
}
ROWS = 4096  # of one forward pass outside training; bounds the memory


def build(widths, activation, batch_norm, dropout, rng, dtype):
    """Linear, batch normalisation, activation and dropout for each hidden layer, then a Linear.

    Weights and biases are drawn from ``rng`` (a RandomState) as scikit-learn draws its own, uniform in
    ±√(6 / (in + out)), for "logistic" ±√(2 / (in + out)), and in the same order: the same random_state begins at the
    same network.

    Source: X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010.
    """
    layers = []
    places = []
    for n_in, n_out in itertools.pairwise(widths[:-1]):
        # Batch normalisation has a bias of its own and takes away any other.
        layers.append(nn.Linear(n_in, n_out, bias=not batch_norm, dtype=dtype, seed=0))
        if batch_norm:
            layers.append(nn.BatchNorm(n_out, dtype=dtype))
        if ACTIVATIONS[activation] is not None:
            layers.append(ACTIVATIONS[activation]())
        if dropout:
            places.append(len(layers))
            layers.append(None)
    layers.append(nn.Linear(widths[-2], widths[-1], dtype=dtype, seed=0))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            _draw(layer, rng, 2 if activation == "logistic" else 6)
    # After the weights, so that dropout does not change where they start.
    for place in places:
        layers[place] = nn.Dropout(dropout, seed=int(rng.randint(2**31)))
    return nn.Sequential(*layers)


def _draw(layer, rng, factor):
    n_in, n_out = layer.in_features, layer.out_features
    bound = np.sqrt(factor / (n_in + n_out))
    layer.weight.value[...] = rng.uniform(-bound, bound, (n_in, n_out)).T
    if layer.bias is not None:
        layer.bias.value[...] = rng.uniform(-bound, bound, n_out)


def outputs(model, X):
    """The model's outputs, (rows, outputs), for X dense or sparse; in evaluation."""
    model.eval()
    result = None
    for start in range(0, X.shape[0], ROWS):
        part = X[start : start + ROWS]
        y = model(part if isinstance(part, np.ndarray) else part.toarray())
        if len(y) == X.shape[0]:
            result = y
        else:
            result = empty((X.shape[0], y.shape[1]), y.dtype) if result is None else result
            result[start : start + ROWS] = y
    forget(model)
    return result


def forget(model):
    """Let go of what the layers keep for backward: it would keep the caller's rows in memory."""
    for module in model.modules():
        module._saved = None


def affine_maps(model):
    """(weight, bias) of each Linear, weight (out, in), with the batch normalisation behind it folded in."""
    maps = []
    for layer in model:
        if isinstance(layer, nn.Linear):
            maps.append((layer.weight.value, None if layer.bias is None else layer.bias.value))
        elif isinstance(layer, nn.BatchNorm):
            scale = layer.weight.value / np.sqrt(layer.running_var.astype(np.float64) + layer.eps)
            weight, bias = maps[-1][0] * scale[:, None], layer.bias.value - layer.running_mean * scale
            dtype = layer.weight.value.dtype
            maps[-1] = weight.astype(dtype), bias.astype(dtype)
    return maps
