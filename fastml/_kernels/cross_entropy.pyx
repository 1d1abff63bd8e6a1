"""Cross-entropy of logits and of log-probabilities, and the gradients: the gate, layout, blocks and threads.

The logits are (outer, n, inner) along the class axis, the labels and losses (outer, inner). Rows and columns
are cut as in softmax.pyx; a unit is a block of rows or a panel of columns. The units are dealt to at most SLOTS
runs of neighbours, each of which adds its losses into a place of its own on the stack, and the places are added
in order: the cut depends on the shape alone. The labels are checked, and their weights added for the mean,
before anything is written. A call of at most SMALL elements goes straight to the primitive.
"""

import math
import numbers

import numpy as np
from cython.parallel import parallel, prange

cimport numpy as cnp
from libc.stdint cimport int64_t

from .. import _check

from .._check cimport (
    Layout, PyArray_EMPTY, PyArray_ISCARRAY_RO, alike, apart, as3d, data, fits, is_plain, is_text, lay, result_like
)
from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._openmp cimport caller, join_team, leave_team, team, team_done
from .._simd cimport cache_bytes, fm32, fm64, fm_labels, fm_tally, fm_tally_add, fm_tally_of, fm_tally_sum

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    object PyArray_ToScalar(void *data, cnp.ndarray arr)

cdef double MOST = np.finfo(np.float64).max

cdef enum:
    PANEL = 512       # bytes
    LONG_ROW = 1024   # bytes: shorter rows are not worth a store past the caches

cdef double COST = 0.5      # nanoseconds an element on one thread
cdef double ROW_COST = 6.0  # nanoseconds a sample
cdef double FILL_COST = 0.1 # nanoseconds an element that is only set to zero


cdef inline double cols(real *dx, real *loss, const real *x, const int64_t *label, const real *target,
                        const real *weight, size_t n, size_t stride, size_t width, const Options *o) noexcept nogil:
    """The same for `width` columns of n steps of `stride`."""
    if real is float:
        if o.nll:
            return fm32.nll_cols(dx, loss, x, label, target, weight, n, stride, width, o.labels, o.smoothing, o.scale)
        if target == NULL:
            return fm32.cross_entropy_cols(dx, loss, x, label, weight, n, stride, width, o.labels, o.smoothing,
                                           o.z_loss, o.weight_sum, o.scale)
        return fm32.cross_entropy_soft_cols(dx, loss, x, target, weight, n, stride, width, o.smoothing, o.z_loss,
                                            o.scale)
    else:
        if o.nll:
            return fm64.nll_cols(dx, loss, x, label, target, weight, n, stride, width, o.labels, o.smoothing, o.scale)
        if target == NULL:
            return fm64.cross_entropy_cols(dx, loss, x, label, weight, n, stride, width, o.labels, o.smoothing,
                                           o.z_loss, o.weight_sum, o.scale)
        return fm64.cross_entropy_soft_cols(dx, loss, x, target, weight, n, stride, width, o.smoothing, o.z_loss,
                                            o.scale)


cdef inline real *after(real *p, Py_ssize_t k) noexcept nogil:
    """p + k, NULL staying NULL."""
    return NULL if p == NULL else p + k


cdef inline double unit(real *dx, real *loss, const real *x, const int64_t *label, const real *target,
                        const real *weight, Py_ssize_t u, const Layout *at, const Options *o,
                        bint stream) noexcept nogil:
    """Unit u of arrays that begin at these pointers: a block of rows, or a panel of columns."""
    cdef Py_ssize_t row, column = 0, n = at.n, inner = at.inner
    cdef Py_ssize_t step = unit_rows(n), width = PANEL // sizeof(real)
    cdef Py_ssize_t panels = (inner + width - 1) // width
    if inner == 1:
        row = u * step
    else:
        row = u // panels
        column = u % panels * width
    cdef Py_ssize_t k = row * n * inner + column, sample = row * inner + column
    dx = after(dx, k)
    loss = after(loss, sample)
    if label != NULL:
        label += sample
    if inner == 1:
        return rows(dx, loss, x + k, label, after(<real *>target, k), weight, min(step, at.outer - row), n, o, stream)
    return cols(dx, loss, x + k, label, after(<real *>target, k), weight, n, inner, min(width, inner - column), o)


cdef inline void slot(double *sum, real *dx, real *loss, const real *x, const int64_t *label, const real *target,
                      const real *weight, Py_ssize_t first, Py_ssize_t last, const Layout *at, const Options *o,
                      bint stream) noexcept nogil:
    """sum (OUT): of the losses of the units from `first` on."""
    cdef Py_ssize_t u
    cdef fm_tally units = fm_tally(0, 0)
    for u in range(first, last):
        fm_tally_add(&units, unit(dx, loss, x, label, target, weight, u, at, o, stream))
    sum[0] = fm_tally_sum(&units)


cdef double run(real[:, :, ::1] dx, real[:, ::1] loss, const real[:, :, ::1] x, const int64_t[:, ::1] label,
                const real[:, :, ::1] target, const real[::1] weight, const Options *o):
    """dx (OUT or None), x, target (IN or None): (outer, n, inner); loss (OUT or None), label (IN or None):
    (outer, inner); weight (IN or None): (n,). Returns the sum of the losses."""
    cdef Layout at
    at.outer, at.n, at.inner = x.shape[0], x.shape[1], x.shape[2]
    cdef Py_ssize_t size = at.outer * at.n * at.inner, step = unit_rows(at.n)
    cdef Py_ssize_t panel = PANEL // sizeof(real)
    cdef Py_ssize_t units = ((at.outer + step - 1) // step if at.inner == 1
                             else at.outer * ((at.inner + panel - 1) // panel))
    cdef Py_ssize_t each = slot_units(units)
    cdef Py_ssize_t slots = (units + each - 1) // each
    cdef Py_ssize_t i
    cdef bint stream = at.n * sizeof(real) >= LONG_ROW and size * sizeof(real) > cache_bytes
    cdef const real *x0 = &x[0, 0, 0]
    cdef const real *target0 = NULL
    cdef const real *weight0 = NULL
    cdef const int64_t *label0 = NULL
    cdef real *dx0 = NULL
    cdef real *loss0 = NULL
    cdef double[SLOTS] sums
    cdef double cost = FILL_COST * (dx is not None) if o.nll and target is None and o.smoothing == 0 else COST
    cdef int me = caller(), threads = team(cost * size + ROW_COST * at.outer * at.inner)
    if target is not None:
        target0 = &target[0, 0, 0]
    if weight is not None:
        weight0 = &weight[0]
    if label is not None:
        label0 = &label[0, 0]
    if dx is not None:
        dx0 = &dx[0, 0, 0]
    if loss is not None:
        loss0 = &loss[0, 0]
    with nogil, parallel(num_threads=threads):
        join_team(me)
        for i in prange(slots, schedule="static"):
            slot(&sums[i], dx0, loss0, x0, label0, target0, weight0, i * each, min(units, (i + 1) * each), &at, o,
                 stream)
        leave_team()
    team_done()
    return fm_tally_of(sums, slots, 1)


cdef double small(real *dx, real *loss, const real *x, const int64_t *label, const real *target,
                  const real *weight, const Layout *at, const Options *o) noexcept nogil:
    """The whole of a small call, here and now."""
    cdef Py_ssize_t row, k = at.n * at.inner, m = at.inner
    cdef fm_tally total = fm_tally(0, 0)
    if m == 1:
        return rows(dx, loss, x, label, target, weight, at.outer, at.n, o, False)
    for row in range(at.outer):
        fm_tally_add(&total, cols(after(dx, row * k), after(loss, row * m), x + row * k, label,
                                  after(<real *>target, row * k), weight, at.n, m, m, o))
        if label != NULL:
            label += m
    return fm_tally_sum(&total)


cdef object cube(object x, const Layout *at):
    return None if x is None else as3d(<cnp.ndarray>x, at)


cdef object flat(object x, const Layout *at):
    """A plain array's memory as (outer, inner)."""
    return None if x is None else (<object>as3d(<cnp.ndarray>x, at)).reshape(at.outer, at.inner)


cdef double launch(object dx, object loss, cnp.ndarray x, object label, object target, object weight,
                   const Layout *at, const Options *o) except? -1:
    """Run plain arrays of one precision (label: int64); all but x may be None."""
    cdef Layout one = at[0]
    one.n = 1
    if cnp.PyArray_SIZE(x) == 0:
        return 0
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        if cnp.PyArray_SIZE(x) <= SMALL:
            return small[float](<float *>data(dx), <float *>data(loss), <float *>data(x), <int64_t *>data(label),
                                <float *>data(target), <float *>data(weight), at, o)
        return run[float](cube(dx, at), flat(loss, &one), as3d(x, at), flat(label, &one), cube(target, at), weight, o)
    if cnp.PyArray_SIZE(x) <= SMALL:
        return small[double](<double *>data(dx), <double *>data(loss), <double *>data(x), <int64_t *>data(label),
                             <double *>data(target), <double *>data(weight), at, o)
    return run[double](cube(dx, at), flat(loss, &one), as3d(x, at), flat(label, &one), cube(target, at), weight, o)


cdef inline bint labels_fit(cnp.ndarray x, object target, object axis) noexcept:
    """target is a plain int64 array of x's shape without the axis, which may be out of range."""
    cdef Py_ssize_t i, a, ndim = cnp.PyArray_NDIM(x)
    if type(target) is not cnp.ndarray or type(axis) is not int:
        return False
    if (cnp.PyArray_TYPE(<cnp.ndarray>target) != cnp.NPY_INT64 or not PyArray_ISCARRAY_RO(<cnp.ndarray>target)
            or cnp.PyArray_NDIM(<cnp.ndarray>target) != ndim - 1):
        return False
    try:
        a = axis
    except OverflowError:
        return False
    if a < 0:
        a += ndim
    if a < 0 or a >= ndim:
        return False
    for i in range(ndim - 1):
        if cnp.PyArray_DIM(<cnp.ndarray>target, <int>i) != cnp.PyArray_DIM(x, <int>(i + (i >= a))):
            return False
    return True


cdef int take_rule(fm_labels *rule, object ignore_index) except -1:
    """The rule for labels: the one that does not count, if there is one; beyond int64 it is no label's."""
    rule.ignored = rule.ignores = rule.changed = 0
    if ignore_index is None:
        return 0
    if isinstance(ignore_index, (bool, np.bool_)) or not isinstance(ignore_index, numbers.Integral):
        raise TypeError(f"ignore_index must be an integer or None, not {_check.shown(ignore_index)}")
    if -2**63 <= ignore_index < 2**63:
        rule.ignored, rule.ignores = ignore_index, True
    return 0


cdef double smoothing_of(object label_smoothing) except? -1:
    if type(label_smoothing) is float and 0 <= <double>label_smoothing <= 1:
        return label_smoothing
    return _check.number(label_smoothing, "label_smoothing", 0, 1)


cdef double z_loss_of(object z_loss) except? -1:
    if type(z_loss) is float and z_loss == 0:
        return 0
    return _check.number(z_loss, "z_loss", 0, MOST)


cdef int check_classes(str name, Py_ssize_t classes, Py_ssize_t samples) except -1:
    if classes == 0 and samples:
        raise ValueError(f"{name} have {samples} sample(s) but no class along axis")
    return 0


class Call:
    """Plain stand-ins for a call that the fast path does not take: logits (which the caller knows by `name`), target,
    axis, out; `losses` and `finish` put what was computed into the caller's order of axes."""

    def __init__(self, logits, name, target, axis, weight, ignoring, out):
        logits = _check.as_real(logits, name)
        if logits.ndim == 0:
            raise ValueError(f"{name} must have at least one dimension, the class axis")
        axis = _check.axis_index(axis)
        if not -logits.ndim <= axis < logits.ndim:
            raise ValueError(f"axis {axis} is out of bounds for {name} of {logits.ndim} dimension(s)")
        axis %= logits.ndim
        shape = logits.shape[:axis] + logits.shape[axis + 1:]
        check_classes(name, logits.shape[axis], math.prod(shape))
        target = _check.as_array(target, "target")
        self.hard = target.dtype.kind in "iu"
        if self.hard and target.shape != shape:
            raise ValueError(f"target must have the shape of {name} without axis {axis}, {shape}, not {target.shape}")
        if not self.hard and (target.dtype.kind != "f" or target.shape == shape):
            raise TypeError(f"target must be integer labels or floating-point class probabilities of the shape of "
                            f"{name}, {logits.shape}, not {target.dtype} of shape {target.shape}")
        if not self.hard and ignoring:
            raise ValueError("ignore_index needs integer labels in target, not class probabilities")
        self.weight = None
        if weight is not None:
            weight = _check.as_real(weight, "weight", logits.dtype)
            if weight.shape != (logits.shape[axis],):
                raise ValueError(f"weight must have shape ({logits.shape[axis]},), one for each class, "
                                 f"not {weight.shape}")
            self.weight = _check.plain(weight)
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


def wrong_label(target, Py_ssize_t n, ignore_index):
    """The error that names the first label that is wrong; the labels may have changed since they were looked at."""
    target = np.array(target)
    wrong = (target < 0) | (target >= n)
    if ignore_index is not None:
        wrong &= target != ignore_index
    if not wrong.any():
        return _check.changed_labels("target")
    place = tuple(np.argwhere(wrong)[0].tolist())
    where = f" at index {place[0] if len(place) == 1 else place}" if place else ""
    besides = "" if ignore_index is None else f" or be ignore_index ({ignore_index})"
    return IndexError(f"target must lie in 0 .. {n - 1}{besides}, not {target[place]}{where}")


def cross_entropy(logits, target, axis, weight, ignore_index, label_smoothing, reduction, bint with_grad, out,
                  z_loss=0.0, str name="logits", bint nll=False):
    """The loss, or (loss, dlogits) with_grad; with nll, of log-probabilities instead of logits."""
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Layout at
    cdef Options o
    cdef fm_labels labels_rule
    cdef double total, total_weight
    cdef float single
    cdef size_t checked, count
    cdef bint mean = is_text(reduction, "mean"), listed = is_text(reduction, "none")
    if not mean and not listed and not is_text(reduction, "sum"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', not {_check.shown(reduction)}")
    take_rule(&labels_rule, ignore_index)
    o.labels = &labels_rule
    o.smoothing = smoothing_of(label_smoothing)
    o.z_loss = z_loss_of(z_loss)
    o.nll = nll
    call = None
    labels = target
    if not (weight is None and is_plain(logits) and labels_fit(<cnp.ndarray>logits, target, axis)
            and fits(<cnp.ndarray>logits, out) and apart(<cnp.ndarray>target, out)):
        call = Call(logits, name, target, axis, weight, ignore_index is not None, out)
        logits, labels, axis, weight, out = call.logits, call.target, call.axis, call.weight, call.out
    cdef cnp.ndarray x = <cnp.ndarray>logits
    cdef bint hard = call is None or call.hard
    lay(x, axis, &at)
    count = at.outer * at.inner
    check_classes(name, at.n, count)
    total_weight = <double>count
    if hard:
        if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
            checked = fm32.label_weights(&total_weight, <int64_t *>data(labels), <float *>data(weight), count, at.n,
                                         &labels_rule)
        else:
            checked = fm64.label_weights(&total_weight, <int64_t *>data(labels), <double *>data(weight), count, at.n,
                                         &labels_rule)
        if checked < count or labels_rule.changed:
            raise wrong_label(target, at.n, ignore_index)
    o.weight_sum = <double>at.n if weight is None else weight.sum(dtype=np.float64)
    o.scale = 1 / total_weight if mean else 1
    loss = None
    if listed:
        loss = np.empty(np.shape(labels) if call is None else call.sample_shape, x.dtype)
    dx = result_like(x, out) if with_grad else None
    total = launch(dx, loss, x, labels if hard else None, None if hard else labels, weight, &at, &o)
    if labels_rule.changed:
        raise wrong_label(target, at.n, ignore_index)
    if not listed:
        if mean:
            total /= total_weight
        if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
            single = <float>total
            loss = PyArray_ToScalar(&single, x)
        else:
            loss = PyArray_ToScalar(&total, x)
    elif call is not None:
        loss = call.losses(loss)
    if not with_grad:
        return loss
    return loss, dx if call is None else call.finish(dx)
