"""The gate for targets: labels or class probabilities, what a loss takes beside them, and the error texts.

Labels are integers, one a sample; class probabilities are floating-point numbers, one a sample and class. Their shapes
differ in the class axis, so that a target of one kind is never taken for the other.
"""

import math
import numbers

import numpy as np

from . import _check, _features, _norms


def class_target(target, shape, classes_shape, ignore_index, like):
    """A target as an ndarray, and whether it holds labels, of `shape`; else class probabilities, of `classes_shape`.

    ``like``: what else has the labels' shape, in words.
    """
    target = _check.as_array(target, "target")
    if target.dtype.kind in "iu":
        if target.shape != shape:
            raise ValueError(
                f"target must have the shape of {like}, {shape}, where it holds labels, not {target.shape}"
            )
        return target, True
    if target.dtype.kind != "f" or target.shape == shape:
        raise TypeError(
            f"target must be integer labels of shape {shape} or floating-point class probabilities of shape "
            f"{classes_shape}, not {target.dtype} of shape {target.shape}"
        )
    if target.shape != classes_shape:
        raise ValueError(
            f"target must have the shape {classes_shape} where it holds class probabilities, not {target.shape}"
        )
    if ignore_index is not None:
        raise ValueError(f"ignore_index must be None where target holds class probabilities, not {ignore_index}")
    return target, False


def ignored_label(ignore_index):
    """The label that does not count as an int, or None; beyond int64 it is no label's."""
    if ignore_index is None:
        return None
    if isinstance(ignore_index, (bool, np.bool_)) or not isinstance(ignore_index, numbers.Integral):
        raise TypeError(f"ignore_index must be an integer or None, not {_check.shown(ignore_index)}")
    return int(ignore_index) if -(2**63) <= ignore_index < 2**63 else None


def class_vector(value, name, classes, dtype):
    """One number for each class as a plain array, or None."""
    return _norms.vector(value, name, (classes,), dtype, None, "class")


def refuse_no_class(name, shape, samples):
    raise ValueError(f"{name} must have at least one class for {samples} sample(s), not the shape {shape}")


def refuse_label(target, classes, ignore_index):
    """Raise and name the first label that is wrong; the labels may have changed since they were looked at."""
    target = np.array(target)
    wrong = (target < 0) | (target >= classes)
    if ignore_index is not None:
        wrong &= target != ignore_index
    if not wrong.any():
        raise _check.changed_labels("target")
    place = tuple(np.argwhere(wrong)[0].tolist())
    where = f" at index {place[0] if len(place) == 1 else place}" if place else ""
    besides = "" if ignore_index is None else f" or be ignore_index ({ignore_index})"
    raise IndexError(f"target must lie in 0 .. {classes - 1}{besides}, not {target[place]}{where}")


def check_broadcast(name, shape, to):
    """ValueError unless an array of this shape can stand beside an input of shape `to`."""
    if len(shape) > len(to) or any(n not in (1, m) for n, m in zip(shape[::-1], to[::-1], strict=False)):
        raise ValueError(f"{name} must broadcast to the shape of input, {to}, not {shape}")


def check_classifier(shape, weight_shape):
    """ValueError unless a linear map's weight takes x, of `shape`, to the logits of its classes."""
    if len(weight_shape) != 2 or not shape or shape[-1] != weight_shape[1]:
        _features.refuse(shape, weight_shape)
    if weight_shape[0] == 0 and math.prod(shape[:-1]):
        refuse_no_class("weight", weight_shape, math.prod(shape[:-1]))


def refuse_rows(name, shape):
    raise ValueError(f"{name} must be the same for all rows in compile_step, not of shape {shape}")


class Logits:
    """Plain stand-ins for a call that the fast path does not take: logits (which the caller knows by `name`), target,
    axis, out; `losses` and `finish` put what was computed into the caller's order of axes."""

    def __init__(self, logits, name, target, axis, weight, ignore_index, out):
        logits = _check.as_real(logits, name)
        if logits.ndim == 0:
            raise ValueError(f"{name} must have at least one dimension, the class axis, not the shape ()")
        axis = _check.axis_within(axis, logits.ndim)
        shape = logits.shape[:axis] + logits.shape[axis + 1 :]
        if logits.shape[axis] == 0 and math.prod(shape):
            refuse_no_class(name, logits.shape, math.prod(shape))
        target, self.hard = class_target(target, shape, logits.shape, ignore_index, f"{name} without axis {axis}")
        self.weight = class_vector(weight, "weight", logits.shape[axis], logits.dtype)
        if out is not None:
            _check.check_out(out, logits.shape, logits.dtype, (logits, target, weight))
        if self.hard:
            call = _check.arrange((name,), (logits,), axis, out)
            (self.logits,) = call.arrays
        else:
            target = _check.as_real(target, "target", logits.dtype)
            call = _check.arrange((name, "target"), (logits, target), axis, out)
            self.logits, self.target = call.arrays
        self.axis, self.out, self.finish = call.axis, call.out, call.finish
        # The order of the samples' axes in memory, and the way back.
        order = [a for a in sorted(range(logits.ndim), key=call.back.__getitem__) if a != axis]
        order = [a - (a > axis) for a in order]
        self.sample_shape = tuple([shape[a] for a in order])
        self.order_back = sorted(range(len(order)), key=order.__getitem__)
        if self.hard:
            self.target = _check.as_int64(target.transpose(order))

    def losses(self, loss):
        return loss.transpose(self.order_back)
