"""Batch normalisation: Ioffe, Szegedy (2015), https://arxiv.org/abs/1502.03167, Algorithm 1 and section 3."""

import numpy as np

from ._arrays import (
    as_float64,
    as_float64s,
    as_vector,
    check_axis,
    check_out,
    check_range,
    check_same_shape,
    check_target_array,
    finish,
)


def _by_channel(x, axis):
    """Return x as (channels, values per channel), and the shape with the channels first to go back by."""
    moved = np.moveaxis(x, axis, 0)
    return np.ascontiguousarray(moved).reshape(len(moved), int(np.prod(moved.shape[1:]))), moved.shape


def _check_values(count, channels):
    if count == 1 and channels > 0:
        raise ValueError("x must have more than one value per channel in training, not 1")


def batch_norm(
    x,
    weight=None,
    bias=None,
    running_mean=None,
    running_var=None,
    *,
    training=True,
    momentum=0.1,
    eps=1e-5,
    channel_axis=1,
    unbiased=True,
    out=None,
):
    """y = (x - mean) * inv_std * weight + bias per channel, inv_std = 1 / sqrt(var + eps).

    In training mean and var are the batch's (var divides by m values per channel), and the running
    statistics become (1 - momentum) * running + momentum * batch, there with var dividing by m - 1 if unbiased. In
    evaluation the running statistics take the batch's place.
    """
    x64, dtype = as_float64(x, "x")
    axis = check_axis(channel_axis, x64.ndim, "channel_axis")
    channels = x64.shape[axis]
    values, shape = _by_channel(x64, axis)
    m = values.shape[1]
    momentum = check_range(momentum, "momentum", 0, 1)
    eps = check_range(eps, "eps", 0)
    gamma = np.ones(channels) if weight is None else as_vector(weight, "weight", channels)
    beta = np.zeros(channels) if bias is None else as_vector(bias, "bias", channels)
    running = {"running_mean": running_mean, "running_var": running_var}
    if training:
        _check_values(m, channels)
        for name, statistic in running.items():
            if statistic is not None:
                check_target_array(statistic, name, (channels,), np.float32, np.float64)
    elif running_mean is None or running_var is None:
        raise ValueError("running_mean and running_var must be arrays with training=False, not None")
    else:
        mean = as_vector(running_mean, "running_mean", channels)
        var = as_vector(running_var, "running_var", channels)
    check_out(out, x64.shape, dtype, x=x, weight=weight, bias=bias, **running)

    with np.errstate(all="ignore"):
        if training:
            mean = values.sum(axis=1) / np.float64(m)
            squares = ((values - mean[:, None]) ** 2).sum(axis=1)
            var = squares / np.float64(m)
        inv_std = 1 / np.sqrt(var + eps)
        y = (values - mean[:, None]) * (inv_std * gamma)[:, None] + beta[:, None]
        if training and m > 0:
            if running_mean is not None:
                previous = running_mean.astype(np.float64)
                finish((1 - momentum) * previous + momentum * mean, dtype, running_mean)
            if running_var is not None:
                variance = squares / (m - 1) if unbiased else var
                previous = running_var.astype(np.float64)
                finish((1 - momentum) * previous + momentum * variance, dtype, running_var)
    y = np.moveaxis(y.reshape(shape), 0, axis)
    return finish(y, dtype, out), finish(mean, dtype), finish(inv_std, dtype)


def batch_norm_backward(grad, x, weight, mean, inv_std, *, training=True, channel_axis=1, out=None):
    """With xhat = (x - mean) * inv_std and sums over each channel's m values:

    dweight = sum grad * xhat,  dbias = sum grad,
    dx = weight * inv_std * (grad - dbias / m - xhat * dweight / m)   in training,
    dx = weight * inv_std * grad                                      in evaluation.
    """
    grad64, x64, dtype = as_float64s(grad=grad, x=x)
    check_same_shape(grad64, "grad", x64, "x")
    axis = check_axis(channel_axis, x64.ndim, "channel_axis")
    channels = x64.shape[axis]
    g, shape = _by_channel(grad64, axis)
    values, _ = _by_channel(x64, axis)
    m = values.shape[1]
    gamma = np.ones(channels) if weight is None else as_vector(weight, "weight", channels)
    mu = as_vector(mean, "mean", channels)
    s = as_vector(inv_std, "inv_std", channels)
    if training:
        _check_values(m, channels)
    check_out(out, grad64.shape, dtype, grad=grad, x=x, weight=weight, mean=mean, inv_std=inv_std)

    with np.errstate(all="ignore"):
        xhat = (values - mu[:, None]) * s[:, None]
        dweight = (g * xhat).sum(axis=1)
        dbias = g.sum(axis=1)
        dx = g
        if training:
            dx = g - (dbias / np.float64(m))[:, None] - xhat * (dweight / np.float64(m))[:, None]
        dx = (gamma * s)[:, None] * dx
    dx = np.moveaxis(dx.reshape(shape), 0, axis)
    return finish(dx, dtype, out), finish(dweight, dtype), finish(dbias, dtype)
