"""Group normalisation: Wu, He (2018), https://arxiv.org/abs/1803.08494; instance normalisation: Ulyanov, Vedaldi,
Lempitsky (2016), https://arxiv.org/abs/1607.08022, which is a group for every channel."""

import numpy as np

from ._arrays import as_float64, as_float64s, as_vector, check_integer, check_out, check_range, check_same_shape, finish

EACH = object()  # as num_groups: every channel


def _check_groups(x, num_groups):
    """Return the number of groups, after the checks that PyTorch makes."""
    if x.ndim < 2:
        raise ValueError(f"x must have the shape (N, C, ...), not {x.shape}")
    groups = check_integer(num_groups, "num_groups", 1, np.inf)
    if x.shape[1] % groups:
        raise ValueError(f"num_groups must divide the channels of x, not {groups} groups of {x.shape[1]} channels")
    if x.size == groups:
        raise ValueError(f"x must have more than one value per group, not shape {x.shape} in {groups} groups")
    return groups


def _check_spatial(x):
    """Return the number of channels, each a group."""
    if x.ndim < 2:
        raise ValueError(f"x must have the shape (N, C, ...), not {x.shape}")
    if np.prod(x.shape[2:]) == 1:
        raise ValueError(f"x must have more than one spatial element, not shape {x.shape}")
    return x.shape[1]


def _forward(x, groups, weight, bias, eps, out):
    x64, dtype = as_float64(x, "x")
    groups = _check_spatial(x64) if groups is EACH else _check_groups(x64, groups)
    channels = x64.shape[1]
    eps = check_range(eps, "eps", 0)
    gamma = np.ones(channels) if weight is None else as_vector(weight, "weight", channels)
    beta = np.zeros(channels) if bias is None else as_vector(bias, "bias", channels)
    check_out(out, x64.shape, dtype, x=x, weight=weight, bias=bias)

    # (sample, group, channel of the group, place)
    per_group = channels // max(groups, 1)
    shape = (len(x64), groups, per_group, int(np.prod(x64.shape[2:])))
    values = x64.reshape(shape)
    with np.errstate(all="ignore"):
        count = np.float64(shape[2] * shape[3])
        mean = values.sum(axis=(2, 3), keepdims=True) / count
        var = ((values - mean) ** 2).sum(axis=(2, 3), keepdims=True) / count
        inv_std = 1 / np.sqrt(var + eps)
        y = (values - mean) * inv_std * gamma.reshape(groups, per_group, 1) + beta.reshape(groups, per_group, 1)
    y = y.reshape(x64.shape)
    return finish(y, dtype, out), finish(mean[..., 0, 0], dtype), finish(inv_std[..., 0, 0], dtype)


def _backward(grad, x, groups, weight, mean, inv_std, out):
    grad64, x64, dtype = as_float64s(grad=grad, x=x)
    check_same_shape(grad64, "grad", x64, "x")
    groups = _check_spatial(x64) if groups is EACH else _check_groups(x64, groups)
    channels = x64.shape[1]
    gamma = np.ones(channels) if weight is None else as_vector(weight, "weight", channels)
    statistics = []
    for name, value in (("mean", mean), ("inv_std", inv_std)):
        statistic, _ = as_float64(value, name)
        if statistic.shape != (len(x64), groups):
            raise ValueError(f"{name} must have shape {(len(x64), groups)}, not {statistic.shape}")
        statistics.append(statistic[..., None, None])
    check_out(out, grad64.shape, dtype, grad=grad, x=x, weight=weight, mean=mean, inv_std=inv_std)

    per_group = channels // max(groups, 1)
    shape = (len(x64), groups, per_group, int(np.prod(x64.shape[2:])))
    mu, s = statistics
    with np.errstate(all="ignore"):
        g, xhat = grad64.reshape(shape), (x64.reshape(shape) - mu) * s
        dweight = (g * xhat).sum(axis=(0, 3)).reshape(channels)
        dbias = g.sum(axis=(0, 3)).reshape(channels)
        g = g * gamma.reshape(groups, per_group, 1)
        count = np.float64(shape[2] * shape[3])
        center = g.sum(axis=(2, 3), keepdims=True) / count
        slope = (g * xhat).sum(axis=(2, 3), keepdims=True) / count
        dx = s * (g - center - xhat * slope)
    return finish(dx.reshape(x64.shape), dtype, out), finish(dweight, dtype), finish(dbias, dtype)


def group_norm(x, num_groups, weight=None, bias=None, *, eps=1e-5, out=None):
    """y = (x - mean) * inv_std * weight + bias, mean and inv_std = 1 / sqrt(var + eps) of each group of channels of
    each sample, weight and bias of each channel."""
    return _forward(x, num_groups, weight, bias, eps, out)


def group_norm_backward(grad, x, num_groups, weight, mean, inv_std, *, out=None):
    """With xhat = (x - mean) * inv_std, sums over samples and places and means over a group of a sample:

    dweight = sum grad * xhat,  dbias = sum grad,
    dx = inv_std * (grad * weight - mean(grad * weight) - xhat * mean(grad * weight * xhat)).
    """
    return _backward(grad, x, num_groups, weight, mean, inv_std, out)


def instance_norm(x, weight=None, bias=None, *, eps=1e-5, out=None):
    """group_norm with a group for every channel."""
    return _forward(x, EACH, weight, bias, eps, out)


def instance_norm_backward(grad, x, weight, mean, inv_std, *, out=None):
    """group_norm_backward with a group for every channel."""
    return _backward(grad, x, EACH, weight, mean, inv_std, out)
