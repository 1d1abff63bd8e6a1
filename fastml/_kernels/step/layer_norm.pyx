"""Layer and RMS normalisation (no mean, no bias) in a training step: tiles of rows; dweight and dbias are joined
afterwards by columns.

The sums of every block of ROWS rows have a place of their own, so a tile may be any multiple of a block. Only the
join looks at the number of rows: it adds the blocks chunk by chunk, as layer_norm.pyx does, to the same bits.
"""

from ..._environment cimport FM_FLUSH
from ..._simd cimport fm32, fm64
from .program cimport Args, Kernel, Tile, View, at, kernel

cdef enum:
    ROWS = 32         # of a block, and
    CHUNKS = 64       # at most: layer_norm.pyx's
    PANEL = 32        # columns joined at once

BLOCK_ROWS = ROWS
JOIN_BYTES = CHUNKS * PANEL * sizeof(double)


cdef void forward_tile(const Args *p, const Tile *t) noexcept nogil:
    """y, mean (or NULL: RMS norm), inv_std (OUT) of x, weight and bias (or NULL); x[0]: eps."""
    cdef View *y = p.v[0]
    cdef View *x = p.v[3]
    if p.size == sizeof(float):
        fm32.layer_norm_rows(
            <float *>at(y, t, t.lo, 0, p.size), <float *>at(p.v[1], t, t.lo, 0, p.size),
            <float *>at(p.v[2], t, t.lo, 0, p.size), <float *>at(x, t, t.lo, 0, p.size),
            <float *>at(p.v[4], t, 0, 0, p.size), <float *>at(p.v[5], t, 0, 0, p.size), t.hi - t.lo, x.cols, y.row,
            x.row, p.x[0], False)
    else:
        fm64.layer_norm_rows(
            <double *>at(y, t, t.lo, 0, p.size), <double *>at(p.v[1], t, t.lo, 0, p.size),
            <double *>at(p.v[2], t, t.lo, 0, p.size), <double *>at(x, t, t.lo, 0, p.size),
            <double *>at(p.v[4], t, 0, 0, p.size), <double *>at(p.v[5], t, 0, 0, p.size), t.hi - t.lo, x.cols, y.row,
            x.row, p.x[0], False)


cdef void backward_tile(const Args *p, const Tile *t) noexcept nogil:
    """dx (OUT) and the blocks' sums (OUT; NULL: nobody wants them), n of dweight and n of dbias in a row, from dy, x,
    weight (or NULL), mean (or NULL: RMS norm) and inv_std."""
    cdef View *dx = p.v[0]
    cdef View *dy = p.v[2]
    cdef View *x = p.v[3]
    cdef Py_ssize_t i, count, n = x.cols
    cdef void *sums
    i = t.lo
    while i < t.hi:
        count = min(<Py_ssize_t>ROWS, t.hi - i)
        sums = t.scratch if p.v[1] == NULL else at(p.v[1], t, i // ROWS, 0, p.size)
        if p.size == sizeof(float):
            fm32.layer_norm_backward_rows(
                <float *>at(dx, t, i, 0, p.size), <float *>sums, <float *>sums + n, <float *>at(dy, t, i, 0, p.size),
                <float *>at(x, t, i, 0, p.size), <float *>at(p.v[4], t, 0, 0, p.size),
                <float *>at(p.v[5], t, i, 0, p.size), <float *>at(p.v[6], t, i, 0, p.size), count, n, dx.row, dy.row,
                x.row, False)
        else:
            fm64.layer_norm_backward_rows(
                <double *>at(dx, t, i, 0, p.size), <double *>sums, <double *>sums + n,
                <double *>at(dy, t, i, 0, p.size), <double *>at(x, t, i, 0, p.size),
                <double *>at(p.v[4], t, 0, 0, p.size), <double *>at(p.v[5], t, i, 0, p.size),
                <double *>at(p.v[6], t, i, 0, p.size), count, n, dx.row, dy.row, x.row, False)
        i += ROWS


cdef void join_tile(const Args *p, const Tile *t) noexcept nogil:
    """The sum over the batch (OUT) of the blocks' sums from column n[0] on."""
    cdef View *sums = p.v[1]
    cdef Py_ssize_t blocks = (t.rows + ROWS - 1) // ROWS
    cdef Py_ssize_t chunk = (blocks + CHUNKS - 1) // CHUNKS  # blocks in one
    cdef Py_ssize_t first = t.lo * p.v[0].cols, end = t.hi * p.v[0].cols
    cdef Py_ssize_t i, k, width, j = first
    cdef char *sum = <char *>at(p.v[0], t, t.lo, 0, p.size)
    cdef double *totals = <double *>t.scratch
    while j < end:
        width = min(<Py_ssize_t>PANEL, end - j)
        for i in range(blocks):
            k = i // chunk * width
            if i % chunk == 0:
                clear(totals + k, width)
            if p.size == sizeof(float):
                fm32.sums_gain(totals + k, <float *>at(sums, t, i, p.n[0] + j, p.size), width)
            else:
                fm64.sums_gain(totals + k, <double *>at(sums, t, i, p.n[0] + j, p.size), width)
        if p.size == sizeof(float):
            fm32.sums_join(<float *>sum + j - first, totals, (blocks + chunk - 1) // chunk, width, width)
        else:
            fm64.sums_join(<double *>sum + j - first, totals, (blocks + chunk - 1) // chunk, width, width)
        j += PANEL


cdef inline void clear(double *totals, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        totals[i] = 0


layer_norm = kernel(forward_tile, "layer_norm")
layer_norm_backward = kernel(backward_tile, "layer_norm_backward", FM_FLUSH)
layer_norm_join = kernel(join_tile, "layer_norm_join", FM_FLUSH)
