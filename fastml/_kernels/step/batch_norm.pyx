"""Batch normalisation in a training step: a tile of columns goes through all three phases of batch_norm_phases.pyx."""

from libc.stdint cimport int64_t

from ..._check cimport Layout
from ..._environment cimport FM_FLUSH
from ..._simd cimport table_of
from ..batch_norm_phases cimport CHUNKS, WHOLE, Norm, cut_chunks, norm_alone, place
from .arguments cimport Tile, View, at, given, ruler

from .card import card


cdef struct BatchNorm:
    View y
    View mean
    View inv_std
    View x
    View weight
    View bias
    View running_mean
    View running_var
    int64_t places          # elements of a channel in a sample
    int64_t ddof            # how many values fewer than there are running_var's variance divides by
    double eps
    double momentum

cdef struct BatchNormBackward:
    View dx
    View dweight
    View dbias
    View dy
    View x
    View weight
    View mean
    View inv_std
    int64_t places


cdef void prepare(Norm *job, Py_ssize_t places, Py_ssize_t stride, Py_ssize_t x_stride, const Tile *t) noexcept nogil:
    """The tile's cut, and what both directions have alike."""
    cdef Py_ssize_t channels = t.hi - t.lo
    cdef Layout layout = Layout(t.rows, channels, places)
    job.fm, job.itemsize = table_of(t.size), t.size
    cut_chunks(&job.cut, &layout, t.size)
    job.cut.stride, job.cut.x_stride = stride, x_stride
    job.cut.panel = channels if places == 1 else 1
    job.cut.panels = channels // job.cut.panel
    job.cut.by_panel, job.cut.stream = True, False
    job.purpose, job.training = WHOLE, True


def scratch_bytes(Py_ssize_t width):
    """Scratch of a tile of `width` columns."""
    return (2 * CHUNKS + 5) * width * sizeof(double)


cdef void batch_norm_tile(const BatchNorm *p, const Tile *t) noexcept nogil:
    cdef Norm job
    cdef double n = t.rows * p.places
    cdef Py_ssize_t j = t.lo * p.places
    cdef void *x = at(&p.x, t, 0, j)
    prepare(&job, p.places, p.y.row, p.x.row, t)
    job.backward, job.eps = False, p.eps
    job.mean, job.inv_std = at(&p.mean, t, t.lo, 0), at(&p.inv_std, t, t.lo, 0)
    job.weight, job.bias = at(&p.weight, t, t.lo, 0), at(&p.bias, t, t.lo, 0)
    place(&job, t.scratch)
    norm_alone(&job, at(&p.y, t, 0, j), x, x)
    if given(&p.running_mean):
        job.fm.norm_running(at(&p.running_mean, t, t.lo, 0), job.sum, 1, p.momentum, job.cut.channels)
    if given(&p.running_var):
        job.fm.norm_running(at(&p.running_var, t, t.lo, 0), job.m2, n - p.ddof, p.momentum, job.cut.channels)

batch_norm = card(
    <size_t>batch_norm_tile, "batch_norm",
    "y = weight (x - mean) inv_std + bias, by channels; the running statistics go by momentum towards the batch's",
    (<const BatchNorm *>ruler)[0], out="y mean inv_std", inout="running_mean running_var",
    optional="weight bias running_mean running_var", columns="")


cdef void batch_norm_backward_tile(const BatchNormBackward *p, const Tile *t) noexcept nogil:
    """dx lies as dy does."""
    cdef Norm job
    cdef Py_ssize_t j = t.lo * p.places
    prepare(&job, p.places, p.dy.row, p.x.row, t)
    job.backward, job.bias = True, NULL
    job.dweight, job.dbias = at(&p.dweight, t, t.lo, 0), at(&p.dbias, t, t.lo, 0)
    job.weight = at(&p.weight, t, t.lo, 0)
    job.mean, job.inv_std = at(&p.mean, t, t.lo, 0), at(&p.inv_std, t, t.lo, 0)
    place(&job, t.scratch)
    norm_alone(&job, at(&p.dx, t, 0, j), at(&p.dy, t, 0, j), at(&p.x, t, 0, j))

batch_norm_backward = card(
    <size_t>batch_norm_backward_tile, "batch_norm_backward", "dx, dweight and dbias",
    (<const BatchNormBackward *>ruler)[0], out="dx dweight dbias", optional="weight", columns="", mode=FM_FLUSH)
