"""Linear map, cross-entropy and all gradients: blocks of rows, whose logits are all that is ever there of them.

The logits of a block are made, turned into their gradient in place and used up, for dx of these rows and for a
further piece of every sum in dweight and dbias, before the next block takes their memory. A block has as many rows as
WORKSPACE_BYTES hold (one at least), and no more than BLOCK_ROWS, from where on nothing is gained. It is whole parts of
a sum (src_c/gemm.c) where WORKSPACE_BYTES hold one. A number of blocks is a span, whose sum is added to dweight. So dx
and dweight have the bits of linear, cross_entropy_with_grad and linear_backward in a row; where a part's logits are
more than WORKSPACE_BYTES, dweight is cut at each block. The cut depends on the shape alone. Three phases, a barrier
after each: logits, losses, gradients.

Rejected: tiles of the classes with an online log-sum-exp, where the logits are made twice. That is a fourth product
(+ 33 %), where a block costs one more reading of weight, and one reading and writing of dweight: at 1024 features and
131 072 classes, where a block has 103 rows, the three products run at 85 to 90 % of the speed they have with 512.
"""

import math

import numpy as np
from cython.parallel import parallel

from .. cimport _numpy as cnp
from libc.stdint cimport int64_t

from .. import _check, _targets
from .._memory import empty

from .._check cimport ceil_div, data, is_text, labels_fit
from .._environment cimport FM_FLUSH, FM_FULL, fm_scope, fm_switch
from .._openmp cimport fm_work, join_team, leave_team, next_block, share_work, team, team_done
from .._simd cimport fm_labels, table_of
from .cross_entropy cimport Options, rows, smoothing_of, take_rule, block_rows
from .linear cimport Matrix, Product, at, cost, matrix, share, takes, transposed

cnp.import_array()

ctypedef fused real:
    float
    double

cdef extern from "gemm.h" nogil:
    enum:
        FM_GEMM_PART
        FM_GEMM_SPAN

cdef enum:
    WORKSPACE_BYTES = 52 << 20  # of logits: with the packed panels of 16 threads less than 64 MB
    BLOCK_ROWS = 512            # FM_GEMM_PART times a power of two
    PANEL_COLUMNS = 512         # that are summed in a go
    LONG_COLUMNS = 512          # longer rows are worked on one at a time

cdef double COST = 0.5    # nanoseconds a logit on one thread, besides the products

# A block has `step` samples; `chunks` sums of losses, each of chunk_rows samples; the gradients of `span` blocks are
# added in a row.
cdef struct Cut:
    Py_ssize_t blocks
    Py_ssize_t step
    Py_ssize_t span
    Py_ssize_t chunk_rows
    Py_ssize_t chunks

# (OUT) dx, dweight, dbias, loss (NULL: not asked for), sums: of the losses of each chunk
# (IN) x, weight, bias, label or target, class_weight (NULL: none)
# (workspace) logits: of one block; span: of dweight's sums, from the second span on; total: of the columns of all
# gradients by the logits so far
cdef struct Operands:
    Matrix dx
    Matrix dweight
    void *dbias
    void *loss
    double *sums
    Matrix x
    Matrix weight
    void *bias
    int64_t *label
    void *target
    void *class_weight
    Matrix logits
    Matrix span
    double *total
    Options options
    Cut cut


cdef Py_ssize_t pitch(Py_ssize_t classes, size_t size) noexcept:
    """Elements from one row of logits to the next: an odd number of cache lines, to lie in different cache sets."""
    cdef Py_ssize_t line = 64 // size
    return classes if classes <= LONG_COLUMNS else (ceil_div(classes, line) | 1) * line


cdef Cut cut_samples(Py_ssize_t samples, Py_ssize_t classes, size_t size) noexcept:
    cdef Cut c
    cdef Py_ssize_t most = max(1, WORKSPACE_BYTES // max(1, pitch(classes, size) * <Py_ssize_t>size))
    c.step = BLOCK_ROWS
    while c.step > most:
        c.step //= 2
    if c.step < FM_GEMM_PART:
        c.step = most
    c.blocks = max(1, ceil_div(samples, c.step))
    c.step = min(c.step, samples)
    c.span = FM_GEMM_SPAN // max(1, c.step)
    c.chunk_rows = block_rows(classes)
    c.chunks = ceil_div(c.step, c.chunk_rows)
    return c


cdef inline void *plus(const void *p, Py_ssize_t bytes) noexcept nogil:
    """p + bytes, NULL staying NULL."""
    return NULL if p == NULL else <char *>p + bytes


cdef inline Matrix some_rows(const Matrix *a, Py_ssize_t i, Py_ssize_t count, size_t size) noexcept nogil:
    return Matrix(at(a, i, 0, size), count, a.cols, a.row, a.col)


cdef inline Py_ssize_t height(const Operands *k, Py_ssize_t block) noexcept nogil:
    """The number of samples in a block."""
    return max(0, min(k.cut.step, k.x.rows - block * k.cut.step))


cdef Product logits(const Operands *k, Py_ssize_t block, size_t size) noexcept nogil:
    cdef Product p
    p.c = some_rows(&k.logits, 0, height(k, block), size)
    p.a = some_rows(&k.x, block * k.cut.step, p.c.rows, size)
    p.b = transposed(&k.weight)
    p.bias = k.bias
    p.relu = p.add = False
    return p


cdef Product gradient_of_x(const Operands *k, Py_ssize_t block, size_t size) noexcept nogil:
    cdef Product p
    p.a = some_rows(&k.logits, 0, height(k, block), size)
    p.b = k.weight
    p.c = some_rows(&k.dx, block * k.cut.step, p.a.rows, size)
    p.bias = NULL
    p.relu = p.add = False
    return p


cdef Product gradient_of_weight(const Operands *k, Py_ssize_t block, size_t size) noexcept nogil:
    cdef Product p
    cdef Matrix z = some_rows(&k.logits, 0, height(k, block), size)
    p.a = transposed(&z)
    p.b = some_rows(&k.x, block * k.cut.step, z.rows, size)
    p.c = k.dweight if block < k.cut.span else k.span
    p.bias = NULL
    p.relu = False
    p.add = block % k.cut.span > 0
    return p


cdef double losses(const Operands *k, Py_ssize_t block, Py_ssize_t chunk, size_t size) noexcept nogil:
    """The losses of a chunk of a block; its logits become their gradient. Returns the sum."""
    cdef Py_ssize_t row = chunk * k.cut.chunk_rows, n = k.logits.cols
    cdef Py_ssize_t count = min(k.cut.chunk_rows, height(k, block) - row)
    cdef Py_ssize_t calls = 1 if k.logits.row == n else count, each = count // calls, call, sample
    cdef double total = 0
    cdef void *x
    cdef void *loss
    cdef void *target
    cdef const int64_t *label
    for call in range(calls):
        sample = block * k.cut.step + row + call
        x = at(&k.logits, row + call, 0, size)
        loss = plus(k.loss, sample * size)
        target = plus(k.target, sample * n * size)
        label = <int64_t *>plus(k.label, sample * sizeof(int64_t))
        total += rows(table_of(size), x, loss, x, label, target, k.class_weight, each, n, &k.options, False)
    return total


cdef void bias_gradient(real *dbias, const Operands *k, Py_ssize_t block, Py_ssize_t panel) noexcept nogil:
    """The sums of PANEL_COLUMNS of a block's gradient join their totals, which the last block leaves in dbias."""
    cdef real[PANEL_COLUMNS] sums
    cdef Py_ssize_t first = panel * PANEL_COLUMNS, width = min(PANEL_COLUMNS, k.logits.cols - first), j
    table_of(sizeof(real)).column_sums(sums, at(&k.logits, 0, first, sizeof(real)), height(k, block), k.logits.row,
                                       width)
    for j in range(width):
        k.total[first + j] = (k.total[first + j] if block else 0) + sums[j]
        if block + 1 == k.cut.blocks:
            dbias[first + j] = <real>k.total[first + j]


cdef void gradients(const Operands *k, Py_ssize_t block, int t, int threads, size_t size) noexcept nogil:
    """Thread t's part of what follows from a block's gradient by the logits."""
    cdef Product dx = gradient_of_x(k, block, size), dweight = gradient_of_weight(k, block, size)
    cdef Py_ssize_t panels = ceil_div(k.logits.cols, PANEL_COLUMNS), j
    share(&dx, t, threads, size)
    share(&dweight, t, threads, size)
    for j in range(panels * t // threads, panels * (t + 1) // threads):
        if size == sizeof(float):
            bias_gradient(<float *>k.dbias, k, block, j)
        else:
            bias_gradient(<double *>k.dbias, k, block, j)


cdef void fold(const Operands *k, int t, int threads, size_t size) noexcept nogil:
    """Thread t's part of dweight += span."""
    cdef Py_ssize_t i = k.span.rows * t // threads, count = k.span.rows * (t + 1) // threads - i, n = k.span.cols
    cdef void *whole = at(&k.dweight, i, 0, size)
    cdef void *part = at(&k.span, i, 0, size)
    table_of(size).gemm_fold(whole, n, part, n, NULL, False, count, n)


cdef enum Phase:
    PRODUCT
    LOSSES
    GRADIENTS
    FOLD


cdef void part(const Operands *k, Phase phase, Py_ssize_t block, Py_ssize_t i, int threads, size_t size) noexcept nogil:
    """Part i of a phase: of as many as there are threads, or in LOSSES a chunk of rows."""
    cdef Product p
    fm_switch(FM_FULL if phase == LOSSES else FM_FLUSH)
    if phase == PRODUCT:
        p = logits(k, block, size)
        share(&p, i, threads, size)
    elif phase == LOSSES:
        k.sums[block * k.cut.chunks + i] = losses(k, block, i, size)
    elif phase == GRADIENTS:
        gradients(k, block, i, threads, size)
    else:
        fold(k, i, threads, size)


cdef void on_team(const Operands *k, Phase phase, Py_ssize_t block, int threads, size_t size) noexcept:
    cdef Py_ssize_t i = 0
    cdef fm_work work
    share_work(&work, ceil_div(height(k, block), k.cut.chunk_rows) if phase == LOSSES else threads, threads)
    with nogil, parallel(num_threads=threads):
        i = join_team(&work)
        while i >= 0:
            part(k, phase, block, i, threads, size)
            i = next_block(&work)
        leave_team()


cdef void in_blocks(const Operands *k, size_t size) noexcept:
    cdef Product whole = gradient_of_weight(k, 0, size)
    cdef Py_ssize_t block
    cdef int threads = team(k.cut.blocks * 3 * cost(&whole, size) + COST * k.x.rows * k.logits.cols)
    for block in range(k.cut.blocks):
        on_team(k, PRODUCT, block, threads, size)
        on_team(k, LOSSES, block, threads, size)
        on_team(k, GRADIENTS, block, threads, size)
        if block >= k.cut.span and ((block + 1) % k.cut.span == 0 or block + 1 == k.cut.blocks):
            on_team(k, FOLD, block, threads, size)
    team_done()
    fm_switch(FM_FULL)


# ---- arrays ---------------------------------------------------------------------------------------------------


cdef double folded(const double *sums, Py_ssize_t n) noexcept:
    """The sum of n numbers, halves first."""
    return 0 if n == 0 else sums[0] if n == 1 else folded(sums, n // 2) + folded(sums + n // 2, n - n // 2)


cdef inline bint fits_weight(cnp.ndarray x, cnp.ndarray weight) noexcept:
    """x has the features of a weight that has classes."""
    cdef int last = cnp.PyArray_NDIM(x) - 1
    return (cnp.PyArray_NDIM(weight) == 2 and cnp.PyArray_DIM(weight, 0) > 0 and last >= 0
            and cnp.PyArray_DIM(x, last) == cnp.PyArray_DIM(weight, 1))


cdef tuple labels_or_probabilities(object target, cnp.ndarray x, Py_ssize_t classes, object ignore_index):
    """(labels, None) as a plain int64 array, or (None, probabilities) as a plain array of x's dtype."""
    if labels_fit(x, target, -1):
        return target, None
    shape = np.shape(x)[: cnp.PyArray_NDIM(x) - 1]
    target, hard = _targets.class_target(target, shape, (*shape, classes), ignore_index, "x without its last axis")
    return (_check.as_int64(target), None) if hard else (None, _check.plain(_check.as_real(target, "target", x.dtype)))


def linear_cross_entropy_with_grad(x, weight, target, bias, class_weight, ignore_index, label_smoothing, reduction):
    cdef fm_scope _scope = fm_switch(FM_FULL)
    cdef Operands k
    cdef size_t count, checked, size
    cdef double total_weight, total
    cdef fm_labels rule
    if not is_text(reduction, "mean") and not is_text(reduction, "sum") and not is_text(reduction, "none"):
        from .._choices import Reduction

        _check.choice(reduction, "reduction", Reduction)
    take_rule(&rule, ignore_index)
    k.options.labels = &rule
    k.options.smoothing = smoothing_of(label_smoothing)
    k.options.z_loss, k.options.nll = 0, False
    if not (takes(x) and takes(weight) and cnp.PyArray_TYPE(<cnp.ndarray>x) == cnp.PyArray_TYPE(<cnp.ndarray>weight)):
        x, weight = [a if takes(a) else _check.plain(a) for a in _check.as_reals([("x", x), ("weight", weight)])]
    if not fits_weight(<cnp.ndarray>x, <cnp.ndarray>weight):
        _targets.check_classifier(x.shape, weight.shape)
    dtype, shape, classes = x.dtype, x.shape[: x.ndim - 1], weight.shape[0]
    count = math.prod(shape)
    size = dtype.itemsize
    if bias is not None:
        bias = _targets.class_vector(bias, "bias", classes, dtype)
    labels, probabilities = labels_or_probabilities(target, <cnp.ndarray>x, classes, ignore_index)
    if class_weight is not None:
        class_weight = _targets.class_vector(class_weight, "class_weight", classes, dtype)
    total_weight = <double>count
    if labels is not None:
        checked = table_of(size).label_weights(&total_weight, <int64_t *>data(labels), data(class_weight), count,
                                               classes, &rule)
        if checked < count or rule.changed:
            _targets.refuse_label(target, classes, ignore_index)
    k.options.weight_sum = classes if class_weight is None else class_weight.sum(dtype=np.float64)
    k.options.scale = 1 / total_weight if reduction == "mean" else 1

    dx, dweight, dbias = empty(x.shape, dtype), empty(weight.shape, dtype), empty(classes, dtype)
    loss = empty(shape, dtype) if reduction == "none" else None
    k.cut = cut_samples(count, classes, size)
    workspace = empty((k.cut.step, pitch(classes, size)), dtype)
    totals, sums = empty(classes, float), np.zeros(k.cut.blocks * k.cut.chunks)
    k.dx, k.dweight, k.dbias = matrix(dx), matrix(dweight), data(dbias)
    k.x, k.weight, k.bias = matrix(x), matrix(weight), data(bias)
    k.label, k.target, k.class_weight = <int64_t *>data(labels), data(probabilities), data(class_weight)
    k.loss, k.sums, k.total = data(loss), <double *>data(sums), <double *>data(totals)
    span = np.empty(dweight.shape, dtype) if k.cut.blocks > k.cut.span else dweight
    k.logits, k.span = matrix(workspace), matrix(span)
    k.logits.cols = classes
    in_blocks(&k, size)
    if rule.changed:
        _targets.refuse_label(target, classes, ignore_index)
    if loss is None:
        total = folded(k.sums, sums.shape[0])
        loss = dtype.type(total / total_weight if reduction == "mean" else total)
    return loss, dx, dweight, dbias
