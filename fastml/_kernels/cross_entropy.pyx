"""Cross-entropy of logits and of log-probabilities, and the gradients: the gate, layout, blocks and threads.

The logits are (outer, n, inner) along the class axis, the labels and losses (outer, inner). They are cut into blocks as
in softmax.pyx, of rows or of a panel of columns. Neighbouring blocks make a chunk, at most CHUNKS of them. Each chunk
adds its losses in a place of its own on the stack, and the places are added in order: the cut depends on the shape
alone. The labels are checked, and their weights added for the mean, before anything is written. A call of at most
SMALL_ELEMENTS goes straight to the primitive.
"""

import numpy as np
from cython.parallel import parallel

from .. cimport _numpy as cnp
from libc.stdint cimport int64_t

from .. import _check, _targets
from .._memory import empty

from .._check cimport (
    Layout, apart, as3d, ceil_div, data, fits, is_plain, is_text, labels_fit, lay, result_like,
)
from .._environment cimport FM_FULL, fm_scope, fm_switch
from .._openmp cimport fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport (
    cache_bytes, fm_labels, fm_table, fm_tally, fm_tally_add, fm_tally_of, fm_tally_sum, table_of
)

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    object PyArray_ToScalar(void *data, cnp.ndarray arr)

cdef double MOST = np.finfo(np.float64).max

ctypedef fused real:
    float
    double

cdef enum:
    PANEL_BYTES = 512
    LONG_ROW_BYTES = 1024   # shorter rows are not worth a store past the caches

cdef double COST = 0.5      # nanoseconds an element on one thread
cdef double ROW_COST = 6.0  # nanoseconds a sample
cdef double FILL_COST = 0.1  # nanoseconds an element that is only set to zero


cdef inline double cols(const fm_table *table, void *dx, void *loss, const void *x, const int64_t *label,
                        const void *target, const void *weight, size_t n, size_t stride, size_t width,
                        const Options *o) noexcept nogil:
    """The same as `rows` for `width` columns of n steps of `stride`."""
    if o.nll:
        return table.nll_cols(dx, loss, x, label, target, weight, n, stride, width, o.labels, o.smoothing, o.scale)
    if target == NULL:
        return table.cross_entropy_cols(dx, loss, x, label, weight, n, stride, width, o.labels, o.smoothing, o.z_loss,
                                        o.weight_sum, o.scale)
    return table.cross_entropy_soft_cols(dx, loss, x, target, weight, n, stride, width, o.smoothing, o.z_loss, o.scale)


cdef double block(real[:, :, ::1] dx, real[:, ::1] loss, const real[:, :, ::1] x, const int64_t[:, ::1] label,
                  const real[:, :, ::1] target, const real[::1] weight, Py_ssize_t k, const Options *o,
                  bint stream) noexcept nogil:
    """The sum of the losses of block k: of some rows, or of a panel of columns."""
    cdef const fm_table *table = table_of(sizeof(real))
    cdef Py_ssize_t n = x.shape[1], inner = x.shape[2], step = block_rows(n), width = PANEL_BYTES // sizeof(real)
    cdef Py_ssize_t panels = ceil_div(inner, width)
    cdef Py_ssize_t i = k * step if inner == 1 else k // panels, j = 0 if inner == 1 else k % panels * width
    cdef real *dx0 = NULL if dx is None else &dx[i, 0, j]
    cdef real *loss0 = NULL if loss is None else &loss[i, j]
    cdef const int64_t *label0 = NULL
    cdef const real *target0 = NULL
    cdef const real *weight0 = NULL
    if label is not None:
        label0 = &label[i, j]
    if target is not None:
        target0 = &target[i, 0, j]
    if weight is not None:
        weight0 = &weight[0]
    if inner == 1:
        return rows(table, dx0, loss0, &x[i, 0, 0], label0, target0, weight0, min(step, x.shape[0] - i), n, o, stream)
    return cols(table, dx0, loss0, &x[i, 0, j], label0, target0, weight0, n, inner, min(width, inner - j), o)


cdef void chunk(double *sum, real[:, :, ::1] dx, real[:, ::1] loss, const real[:, :, ::1] x,
                const int64_t[:, ::1] label, const real[:, :, ::1] target, const real[::1] weight, Py_ssize_t first,
                Py_ssize_t last, const Options *o, bint stream) noexcept nogil:
    """sum (OUT): of the losses of the blocks from `first` on."""
    cdef Py_ssize_t k
    cdef fm_tally blocks = fm_tally(0, 0)
    for k in range(first, last):
        fm_tally_add(&blocks, block(dx, loss, x, label, target, weight, k, o, stream))
    sum[0] = fm_tally_sum(&blocks)


cdef double in_chunks(real[:, :, ::1] dx, real[:, ::1] loss, const real[:, :, ::1] x, const int64_t[:, ::1] label,
                      const real[:, :, ::1] target, const real[::1] weight, const Options *o) noexcept:
    """dx (OUT or None), x, target (IN or None): (outer, n, inner); loss (OUT or None), label (IN or None):
    (outer, inner); weight (IN or None): (n,). Returns the sum of the losses."""
    cdef fm_work work
    cdef Py_ssize_t outer = x.shape[0], n = x.shape[1], inner = x.shape[2], size = outer * n * inner
    cdef Py_ssize_t blocks = (ceil_div(outer, block_rows(n)) if inner == 1
                              else outer * ceil_div(inner, PANEL_BYTES // sizeof(real)))
    cdef Py_ssize_t each = chunk_blocks(blocks), chunks = ceil_div(blocks, each), k = 0
    cdef bint stream = n * sizeof(real) >= LONG_ROW_BYTES and size * sizeof(real) > cache_bytes
    cdef double[CHUNKS] sums
    cdef double cost = FILL_COST * (dx is not None) if o.nll and target is None and o.smoothing == 0 else COST
    cdef int threads = team(cost * size + ROW_COST * outer * inner)
    share_work(&work, chunks, threads)
    with nogil, parallel(num_threads=threads):
        k = join_team(&work)
        while k >= 0:
            chunk(&sums[k], dx, loss, x, label, target, weight, k * each, min(blocks, (k + 1) * each), o, stream)
            k = next_block(&work)
        leave_team()
    team_done()
    return fm_tally_of(sums, chunks, 1)


cdef inline char *after(void *p, Py_ssize_t bytes) noexcept nogil:
    """p + bytes, NULL staying NULL."""
    return NULL if p == NULL else <char *>p + bytes


cdef double at_once(const fm_table *table, void *dx, void *loss, void *x, const int64_t *label, void *target,
                    void *weight, const Layout *at, size_t itemsize, const Options *o) noexcept nogil:
    """The whole of a small call, on the caller's thread."""
    cdef Py_ssize_t i, m = at.inner, step = at.n * m * itemsize, out_step = m * itemsize
    cdef fm_tally total = fm_tally(0, 0)
    if m == 1:
        return rows(table, dx, loss, x, label, target, weight, at.outer, at.n, o, False)
    for i in range(at.outer):
        fm_tally_add(&total, cols(table, after(dx, i * step), after(loss, i * out_step), after(x, i * step), label,
                                  after(target, i * step), weight, at.n, m, m, o))
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
    cdef size_t itemsize = cnp.PyArray_ITEMSIZE(x)
    if cnp.PyArray_SIZE(x) == 0:
        return 0
    if cnp.PyArray_SIZE(x) > SMALL_ELEMENTS:
        return launch_large(dx, loss, x, label, target, weight, at, o)
    return at_once(table_of(itemsize), data(dx), data(loss), data(x), <int64_t *>data(label), data(target),
                   data(weight), at, itemsize, o)


cdef double launch_large(object dx, object loss, cnp.ndarray x, object label, object target, object weight,
                         const Layout *at, const Options *o) except? -1:
    """The same by memoryviews; the cost of making room for them is no small call's."""
    cdef Layout one = at[0]
    one.n = 1
    loss, label = flat(loss, &one), flat(label, &one)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        return in_chunks[float](cube(dx, at), loss, as3d(x, at), label, cube(target, at), weight, o)
    return in_chunks[double](cube(dx, at), loss, as3d(x, at), label, cube(target, at), weight, o)


cdef int take_rule(fm_labels *rule, object ignore_index) except -1:
    rule.ignored = rule.ignores = rule.changed = 0
    if ignore_index is not None:
        ignore_index = _targets.ignored_label(ignore_index)
        rule.ignores = ignore_index is not None
        rule.ignored = ignore_index if rule.ignores else 0
    return 0


cdef double smoothing_of(object label_smoothing) except? -1:
    if type(label_smoothing) is float and 0 <= <double>label_smoothing <= 1:
        return label_smoothing
    return _check.number(label_smoothing, "label_smoothing", 0, 1)


cdef double z_loss_of(object z_loss) except? -1:
    if type(z_loss) is float and z_loss == 0:
        return 0
    return _check.number(z_loss, "z_loss", 0, MOST)


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
        from .._choices import Reduction

        reduction = _check.choice(reduction, "reduction", Reduction)
        mean, listed = reduction == "mean", reduction == "none"
    take_rule(&labels_rule, ignore_index)
    o.labels = &labels_rule
    o.smoothing = smoothing_of(label_smoothing)
    o.z_loss = z_loss_of(z_loss)
    o.nll = nll
    call = None
    labels = target
    if not (weight is None and is_plain(logits) and labels_fit(<cnp.ndarray>logits, target, axis)
            and fits(<cnp.ndarray>logits, out) and apart(<cnp.ndarray>target, out)):
        call = _targets.Logits(logits, name, target, axis, weight, ignore_index, out)
        logits, labels, axis, weight, out = call.logits, call.target, call.axis, call.weight, call.out
    cdef cnp.ndarray x = <cnp.ndarray>logits
    cdef bint hard = call is None or call.hard
    lay(x, axis, &at)
    count = at.outer * at.inner
    if at.n == 0 and count:
        _targets.refuse_no_class(name, (<object>x).shape, count)
    total_weight = <double>count
    if hard:
        checked = table_of(cnp.PyArray_ITEMSIZE(x)).label_weights(
            &total_weight, <int64_t *>data(labels), data(weight), count, at.n, &labels_rule)
        if checked < count or labels_rule.changed:
            _targets.refuse_label(target, at.n, ignore_index)
    o.weight_sum = <double>at.n if weight is None else weight.sum(dtype=np.float64)
    o.scale = 1 / total_weight if mean else 1
    loss = None
    if listed:
        loss = empty(np.shape(labels) if call is None else call.sample_shape, x.dtype)
    dx = result_like(x, out) if with_grad else None
    total = launch(dx, loss, x, labels if hard else None, None if hard else labels, weight, &at, &o)
    if labels_rule.changed:
        _targets.refuse_label(target, at.n, ignore_index)
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
