"""Group normalisation in a training step: tiles of samples; dweight and dbias are joined afterwards by channels.

The sums of every block of samples have a place of their own, so a tile may be any multiple of a block. Only the join
looks at the number of samples: it adds the blocks chunk by chunk, as group_norm.pyx does, to the same bits.
"""

from ..._environment cimport FM_FLUSH
from ..._simd cimport fm32, fm64
from ..group_norm cimport CHUNKS, block_rows, is_short, room_elements
from .program cimport Args, Kernel, Tile, View, at, kernel

cdef enum:
    PANEL = 32        # channels joined at once

JOIN_BYTES = CHUNKS * PANEL * sizeof(double)


def rows_of_block(Py_ssize_t groups, Py_ssize_t channels, Py_ssize_t n):
    """Samples whose sums have one place: each has so many groups of so many channels of n elements."""
    return block_rows(groups * channels * n, is_short(channels, n))


def scratch_bytes(Py_ssize_t groups, Py_ssize_t channels, Py_ssize_t n):
    """A tile's scratch: room for the sums of a block, and the kernels' own."""
    cdef Py_ssize_t room = room_elements(groups, channels * n, is_short(channels, n))
    return (2 * groups * channels + room) * sizeof(double)


cdef void forward_tile(const Args *p, const Tile *t) noexcept nogil:
    """y, mean, inv_std (OUT) of x, weight and bias (or NULL); x[0]: eps; n: groups, their channels, their runs."""
    cdef View *y = p.v[0]
    cdef View *x = p.v[3]
    cdef Py_ssize_t groups = p.n[0], channels = p.n[1], n = p.n[2]
    cdef char *room = t.scratch if is_short(channels, n) else NULL
    if p.size == sizeof(float):
        fm32.group_norm_rows(
            <float *>at(y, t, t.lo, 0, p.size), <float *>at(p.v[1], t, t.lo, 0, p.size),
            <float *>at(p.v[2], t, t.lo, 0, p.size), <float *>at(x, t, t.lo, 0, p.size),
            <float *>at(p.v[4], t, 0, 0, p.size), <float *>at(p.v[5], t, 0, 0, p.size), t.hi - t.lo, groups, channels,
            n, y.row, x.row, p.v[1].row, p.x[0], False, <float *>room)
    else:
        fm64.group_norm_rows(
            <double *>at(y, t, t.lo, 0, p.size), <double *>at(p.v[1], t, t.lo, 0, p.size),
            <double *>at(p.v[2], t, t.lo, 0, p.size), <double *>at(x, t, t.lo, 0, p.size),
            <double *>at(p.v[4], t, 0, 0, p.size), <double *>at(p.v[5], t, 0, 0, p.size), t.hi - t.lo, groups, channels,
            n, y.row, x.row, p.v[1].row, p.x[0], False, <double *>room)


cdef void backward_tile(const Args *p, const Tile *t) noexcept nogil:
    """dx (OUT) and the blocks' sums (OUT, double; NULL: nobody wants them), dweight's and then dbias's in a row, from
    dy, x, weight (or NULL), mean and inv_std; n as above."""
    cdef View *dx = p.v[0]
    cdef View *dy = p.v[2]
    cdef View *x = p.v[3]
    cdef Py_ssize_t groups = p.n[0], channels = p.n[1], n = p.n[2], width = groups * channels, i = t.lo, rows
    cdef bint short = is_short(channels, n)
    cdef Py_ssize_t block = block_rows(width * n, short)
    cdef double *sums = <double *>t.scratch
    cdef double *room = sums + 2 * width if short else NULL
    while i < t.hi:
        rows = min(block, t.hi - i)
        if p.v[1] != NULL:
            sums = <double *>at(p.v[1], t, i // block, 0, sizeof(double))
        if p.size == sizeof(float):
            fm32.group_norm_backward_rows(
                <float *>at(dx, t, i, 0, p.size), sums, sums + width, <float *>at(dy, t, i, 0, p.size),
                <float *>at(x, t, i, 0, p.size), <float *>at(p.v[4], t, 0, 0, p.size),
                <float *>at(p.v[5], t, i, 0, p.size), <float *>at(p.v[6], t, i, 0, p.size), rows, groups, channels, n,
                dx.row, dy.row, x.row, p.v[5].row, False, <float *>room)
        else:
            fm64.group_norm_backward_rows(
                <double *>at(dx, t, i, 0, p.size), sums, sums + width, <double *>at(dy, t, i, 0, p.size),
                <double *>at(x, t, i, 0, p.size), <double *>at(p.v[4], t, 0, 0, p.size),
                <double *>at(p.v[5], t, i, 0, p.size), <double *>at(p.v[6], t, i, 0, p.size), rows, groups, channels, n,
                dx.row, dy.row, x.row, p.v[5].row, False, room)
        i += block


cdef void join_tile(const Args *p, const Tile *t) noexcept nogil:
    """The sum over the batch (OUT) of the blocks' sums from column n[0] on; n[1]: samples of a block."""
    cdef View *sums = p.v[1]
    cdef Py_ssize_t blocks = (t.rows + p.n[1] - 1) // p.n[1]
    cdef Py_ssize_t chunk = (blocks + CHUNKS - 1) // CHUNKS  # blocks in one
    cdef Py_ssize_t i, k, c, width, j = t.lo
    cdef double *totals = <double *>t.scratch
    while j < t.hi:
        width = min(<Py_ssize_t>PANEL, t.hi - j)
        for i in range(blocks):
            k = i // chunk * width
            if i % chunk == 0:
                for c in range(k, k + width):
                    totals[c] = 0
            fm64.sums_gain(totals + k, <double *>at(sums, t, i, p.n[0] + j, sizeof(double)), width)
        k = (blocks + chunk - 1) // chunk
        if p.size == sizeof(float):
            fm32.sums_join(<float *>at(p.v[0], t, j, 0, p.size), totals, k, width, width)
        else:
            fm64.sums_join(<double *>at(p.v[0], t, j, 0, p.size), totals, k, width, width)
        j += PANEL


group_norm = kernel(forward_tile, "group_norm")
group_norm_backward = kernel(backward_tile, "group_norm_backward", FM_FLUSH)
group_norm_join = kernel(join_tile, "group_norm_join", FM_FLUSH)
