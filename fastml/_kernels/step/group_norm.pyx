"""Group normalisation in a training step: tiles of samples; dweight and dbias are joined afterwards by channels.

The sums of every block of samples have a place of their own, so a tile may be any multiple of a block. Only the join
looks at the number of samples: it adds the blocks chunk by chunk, as group_norm.pyx does, to the same bits.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from ..._check cimport ceil_div
from ..._environment cimport FM_FLUSH
from ..._simd cimport table_of
from ..group_norm cimport CHUNKS, block_rows, is_short, room_elements
from .arguments cimport Tile, View, at, given, ruler

from .card import card

cdef enum:
    PANEL_CHANNELS = 32     # joined at once

JOIN_BYTES = CHUNKS * PANEL_CHANNELS * sizeof(double)


def rows_of_block(Py_ssize_t groups, Py_ssize_t channels, Py_ssize_t n):
    """Samples whose sums have one place: each has so many groups of so many channels of n elements."""
    return block_rows(groups * channels * n, is_short(channels, n))


def scratch_bytes(Py_ssize_t groups, Py_ssize_t channels, Py_ssize_t n):
    """A tile's scratch: room for the sums of a block, and the kernels' own."""
    cdef Py_ssize_t room = room_elements(groups, channels * n, is_short(channels, n))
    return (2 * groups * channels + room) * sizeof(double)


cdef struct GroupNorm:
    View y
    View mean
    View inv_std
    View x
    View weight
    View bias
    int64_t groups
    int64_t channels        # of a group
    int64_t places          # elements of a channel in a sample
    double eps

cdef void group_norm_tile(const GroupNorm *p, const Tile *t) noexcept nogil:
    table_of(t.size).group_norm_rows(
        at(&p.y, t, t.lo, 0), at(&p.mean, t, t.lo, 0), at(&p.inv_std, t, t.lo, 0), at(&p.x, t, t.lo, 0),
        at(&p.weight, t, 0, 0), at(&p.bias, t, 0, 0), t.hi - t.lo, p.groups, p.channels, p.places, p.y.row, p.x.row,
        p.mean.row, p.eps, False, t.scratch if is_short(p.channels, p.places) else NULL)

group_norm = card(
    <size_t>group_norm_tile, "group_norm", "y = weight (x - mean) inv_std + bias, by groups of a sample's channels",
    (<const GroupNorm *>ruler)[0], out="y mean inv_std", optional="weight bias", rows="weight bias")


cdef struct GroupNormBackward:
    View dx
    View sums
    View dy
    View x
    View weight
    View mean
    View inv_std
    int64_t groups
    int64_t channels
    int64_t places

cdef void group_norm_backward_tile(const GroupNormBackward *p, const Tile *t) noexcept nogil:
    cdef Py_ssize_t width = p.groups * p.channels, i = t.lo, rows
    cdef bint short = is_short(p.channels, p.places)
    cdef Py_ssize_t block = block_rows(width * p.places, short)
    cdef double *sums = <double *>t.scratch
    cdef double *room = sums + 2 * width if short else NULL
    while i < t.hi:
        rows = min(block, t.hi - i)
        if given(&p.sums):
            sums = <double *>at(&p.sums, t, i // block, 0)
        table_of(t.size).group_norm_backward_rows(
            at(&p.dx, t, i, 0), sums, sums + width, at(&p.dy, t, i, 0), at(&p.x, t, i, 0), at(&p.weight, t, 0, 0),
            at(&p.mean, t, i, 0), at(&p.inv_std, t, i, 0), rows, p.groups, p.channels, p.places, p.dx.row, p.dy.row,
            p.x.row, p.mean.row, False, room)
        i += block

group_norm_backward = card(
    <size_t>group_norm_backward_tile, "group_norm_backward",
    "dx; sums: dweight's and then dbias's of every block, None where nobody wants them",
    (<const GroupNormBackward *>ruler)[0], out="dx sums", optional="sums weight", rows="weight", mode=FM_FLUSH)


cdef struct GroupNormJoin:
    View sum
    View sums
    int64_t first
    int64_t block           # samples of one

cdef void group_norm_join_tile(const GroupNormJoin *p, const Tile *t) noexcept nogil:
    cdef Py_ssize_t blocks = ceil_div(t.rows, p.block)
    cdef Py_ssize_t chunk = ceil_div(blocks, CHUNKS)  # blocks in one
    cdef Py_ssize_t i, k, width, j = t.lo
    cdef double *totals = <double *>t.scratch
    while j < t.hi:
        width = min(<Py_ssize_t>PANEL_CHANNELS, t.hi - j)
        for i in range(blocks):
            k = i // chunk * width
            if i % chunk == 0:
                memset(totals + k, 0, width * sizeof(double))
            table_of(sizeof(double)).sums_gain(totals + k, at(&p.sums, t, i, p.first + j), width)
        k = ceil_div(blocks, chunk)
        table_of(t.size).sums_join(at(&p.sum, t, j, 0), totals, k, width, width)
        j += PANEL_CHANNELS

group_norm_join = card(
    <size_t>group_norm_join_tile, "group_norm_join", "sum = the sums of all blocks, from their column `first` on",
    (<const GroupNormJoin *>ruler)[0], out="sum", columns="sums", mode=FM_FLUSH)
