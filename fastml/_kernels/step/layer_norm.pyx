"""Layer and RMS normalisation (no mean, no bias) in a training step: tiles of rows; dweight and dbias are joined
afterwards by columns.

The sums of every block of BLOCK_ROWS rows have a place of their own, so a tile may be any multiple of a block. Only the
join looks at the number of rows: it adds the blocks chunk by chunk, as layer_norm.pyx does, to the same bits.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from ..._check cimport ceil_div
from ..._environment cimport FM_FLUSH
from ..._simd cimport table_of
from ..layer_norm cimport BLOCK_ROWS as ROWS
from ..layer_norm cimport CHUNKS
from .arguments cimport Tile, View, at, given, ruler

from .card import card

cdef enum:
    PANEL_COLUMNS = 32      # joined at once

BLOCK_ROWS = ROWS
JOIN_BYTES = CHUNKS * PANEL_COLUMNS * sizeof(double)


cdef struct LayerNorm:
    View y
    View mean
    View inv_std
    View x
    View weight
    View bias
    double eps

cdef void layer_norm_tile(const LayerNorm *p, const Tile *t) noexcept nogil:
    table_of(t.size).layer_norm_rows(
        at(&p.y, t, t.lo, 0), at(&p.mean, t, t.lo, 0), at(&p.inv_std, t, t.lo, 0), at(&p.x, t, t.lo, 0),
        at(&p.weight, t, 0, 0), at(&p.bias, t, 0, 0), t.hi - t.lo, p.x.cols, p.y.row, p.x.row, p.eps, False)

layer_norm = card(
    <size_t>layer_norm_tile, "layer_norm",
    "y = weight (x - mean) inv_std + bias, by rows; without mean RMS normalisation", (<const LayerNorm *>ruler)[0],
    out="y mean inv_std", optional="mean weight bias", rows="weight bias")


cdef struct LayerNormBackward:
    View dx
    View sums
    View dy
    View x
    View weight
    View mean
    View inv_std

cdef void layer_norm_backward_tile(const LayerNormBackward *p, const Tile *t) noexcept nogil:
    cdef Py_ssize_t i = t.lo, count, n = p.x.cols
    cdef char *sums
    while i < t.hi:
        count = min(<Py_ssize_t>ROWS, t.hi - i)
        sums = <char *>at(&p.sums, t, i // ROWS, 0) if given(&p.sums) else t.scratch
        table_of(t.size).layer_norm_backward_rows(
            at(&p.dx, t, i, 0), sums, sums + n * t.size, at(&p.dy, t, i, 0), at(&p.x, t, i, 0), at(&p.weight, t, 0, 0),
            at(&p.mean, t, i, 0), at(&p.inv_std, t, i, 0), count, n, p.dx.row, p.dy.row, p.x.row, False)
        i += ROWS

layer_norm_backward = card(
    <size_t>layer_norm_backward_tile, "layer_norm_backward",
    "dx; sums: dweight's and then dbias's of every block, None where nobody wants them",
    (<const LayerNormBackward *>ruler)[0], out="dx sums", optional="sums weight mean", rows="weight", mode=FM_FLUSH)


cdef struct LayerNormJoin:
    View sum
    View sums
    int64_t first

cdef void layer_norm_join_tile(const LayerNormJoin *p, const Tile *t) noexcept nogil:
    cdef Py_ssize_t blocks = ceil_div(t.rows, ROWS)
    cdef Py_ssize_t chunk = ceil_div(blocks, CHUNKS)  # blocks in one
    cdef Py_ssize_t first = t.lo * p.sum.cols, end = t.hi * p.sum.cols
    cdef Py_ssize_t i, k, width, j = first
    cdef char *sum = <char *>at(&p.sum, t, t.lo, 0)
    cdef double *totals = <double *>t.scratch
    while j < end:
        width = min(<Py_ssize_t>PANEL_COLUMNS, end - j)
        for i in range(blocks):
            k = i // chunk * width
            if i % chunk == 0:
                memset(totals + k, 0, width * sizeof(double))
            table_of(t.size).sums_gain(totals + k, at(&p.sums, t, i, p.first + j), width)
        table_of(t.size).sums_join(sum + (j - first) * t.size, totals, ceil_div(blocks, chunk), width, width)
        j += PANEL_COLUMNS

layer_norm_join = card(
    <size_t>layer_norm_join_tile, "layer_norm_join", "sum = the sums of all blocks, from their column `first` on",
    (<const LayerNormJoin *>ruler)[0], out="sum", columns="sums", mode=FM_FLUSH)
