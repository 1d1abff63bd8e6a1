"""Batch normalisation in a training step: a tile of columns goes through all three phases of batch_norm_phases.pxi."""

from libc.stdint cimport int64_t

from ..._check cimport Layout
from ..._environment cimport FM_FLUSH
from ..._simd cimport cache_bytes, fm32, fm64, fm_origin, fm_table, table_of
from .card cimport Tile, View, at, given, ruler

from .card import card

include "../batch_norm_phases.pxi"


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


cdef void prepare(Cut *cut, Py_ssize_t places, Py_ssize_t stride, Py_ssize_t x_stride, const Tile *t) noexcept nogil:
    """The tile's cut."""
    cdef Py_ssize_t channels = t.hi - t.lo
    cdef Layout layout = Layout(t.rows, channels, places)
    lay_out(cut, &layout, t.size)
    cut.stride, cut.x_stride = stride, x_stride
    cut.panel = channels if places == 1 else 1
    cut.panels = channels // cut.panel
    cut.by_panel, cut.stream = True, False


cdef void place(Job *job, char *memory) noexcept nogil:
    """The job's sums and coefficients in the thread's scratch."""
    cdef Py_ssize_t w = job.cut.channels
    job.sum = <double *>memory
    job.m2 = job.sum + job.cut.chunks * w
    job.origin = job.m2 + job.cut.chunks * w
    memory = <char *>(job.origin + w)
    if Job is Job32:
        job.scale = <float *>memory
    else:
        job.scale = <double *>memory
    job.shift = job.scale + w
    job.center = job.shift + w
    job.slope = job.center + w


def scratch_bytes(Py_ssize_t width):
    """Scratch of a tile of `width` columns."""
    return (2 * CHUNKS + 5) * width * sizeof(double)


cdef void norm(Job *job, const BatchNorm *p, const Tile *t) noexcept nogil:
    cdef double n = t.rows * p.places
    cdef Py_ssize_t j = t.lo * p.places
    if Job is Job32:
        job.fm = fm32
        job.y, job.x = <float *>at(&p.y, t, 0, j), <float *>at(&p.x, t, 0, j)
        job.mean, job.inv_std = <float *>at(&p.mean, t, t.lo, 0), <float *>at(&p.inv_std, t, t.lo, 0)
        job.weight, job.bias = <float *>at(&p.weight, t, t.lo, 0), <float *>at(&p.bias, t, t.lo, 0)
        job.g = NULL
    else:
        job.fm = fm64
        job.y, job.x = <double *>at(&p.y, t, 0, j), <double *>at(&p.x, t, 0, j)
        job.mean, job.inv_std = <double *>at(&p.mean, t, t.lo, 0), <double *>at(&p.inv_std, t, t.lo, 0)
        job.weight, job.bias = <double *>at(&p.weight, t, t.lo, 0), <double *>at(&p.bias, t, t.lo, 0)
        job.g = NULL
    job.purpose, job.training, job.eps = WHOLE, True, p.eps
    place(job, t.scratch)
    find_origins(job)
    by_panel(job, 0, 1)
    if given(&p.running_mean):
        table_of(t.size).norm_running(at(&p.running_mean, t, t.lo, 0), job.sum, 1, p.momentum, job.cut.channels)
    if given(&p.running_var):
        table_of(t.size).norm_running(at(&p.running_var, t, t.lo, 0), job.m2, n - p.ddof, p.momentum, job.cut.channels)


cdef void norm_backward(Job *job, const BatchNormBackward *p, const Tile *t) noexcept nogil:
    """dx lies as dy does."""
    cdef Py_ssize_t j = t.lo * p.places
    if Job is Job32:
        job.fm = fm32
        job.y, job.g = <float *>at(&p.dx, t, 0, j), <float *>at(&p.dy, t, 0, j)
        job.dweight, job.dbias = <float *>at(&p.dweight, t, t.lo, 0), <float *>at(&p.dbias, t, t.lo, 0)
        job.x, job.weight = <float *>at(&p.x, t, 0, j), <float *>at(&p.weight, t, t.lo, 0)
        job.mean, job.inv_std = <float *>at(&p.mean, t, t.lo, 0), <float *>at(&p.inv_std, t, t.lo, 0)
    else:
        job.fm = fm64
        job.y, job.g = <double *>at(&p.dx, t, 0, j), <double *>at(&p.dy, t, 0, j)
        job.dweight, job.dbias = <double *>at(&p.dweight, t, t.lo, 0), <double *>at(&p.dbias, t, t.lo, 0)
        job.x, job.weight = <double *>at(&p.x, t, 0, j), <double *>at(&p.weight, t, t.lo, 0)
        job.mean, job.inv_std = <double *>at(&p.mean, t, t.lo, 0), <double *>at(&p.inv_std, t, t.lo, 0)
    job.bias = NULL
    job.purpose, job.training, job.eps = WHOLE, True, 0
    place(job, t.scratch)
    by_panel(job, 0, 1)


cdef void batch_norm_tile(const BatchNorm *p, const Tile *t) noexcept nogil:
    cdef Job32 job32
    cdef Job64 job64
    if t.size == sizeof(float):
        prepare(&job32.cut, p.places, p.y.row, p.x.row, t)
        norm(&job32, p, t)
    else:
        prepare(&job64.cut, p.places, p.y.row, p.x.row, t)
        norm(&job64, p, t)

batch_norm = card(
    <size_t>batch_norm_tile, "batch_norm",
    "y = weight (x - mean) inv_std + bias, by channels; the running statistics go by momentum towards the batch's",
    (<const BatchNorm *>ruler)[0], out="y mean inv_std", inout="running_mean running_var",
    optional="weight bias running_mean running_var", columns="")


cdef void batch_norm_backward_tile(const BatchNormBackward *p, const Tile *t) noexcept nogil:
    cdef Job32 job32
    cdef Job64 job64
    if t.size == sizeof(float):
        prepare(&job32.cut, p.places, p.dy.row, p.x.row, t)
        norm_backward(&job32, p, t)
    else:
        prepare(&job64.cut, p.places, p.dy.row, p.x.row, t)
        norm_backward(&job64, p, t)

batch_norm_backward = card(
    <size_t>batch_norm_backward_tile, "batch_norm_backward", "dx, dweight and dbias",
    (<const BatchNormBackward *>ruler)[0], out="dx dweight dbias", optional="weight", columns="", mode=FM_FLUSH)
