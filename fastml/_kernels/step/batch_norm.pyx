"""Batch normalisation in a training step: a tile of columns goes through all three phases of batch_norm_phases.pxi."""

from ..._check cimport Layout
from ..._environment cimport FM_FLUSH
from ..._simd cimport cache_bytes, fm32, fm64, fm_origin, fm_table
from .program cimport Args, Kernel, Tile, View, at, kernel

include "../batch_norm_phases.pxi"


cdef void prepare(Cut *cut, const Args *p, const Tile *t, const View *y, const View *x) noexcept nogil:
    """The tile's cut; n[0]: elements of a channel in a sample."""
    cdef Py_ssize_t channels = t.hi - t.lo
    cdef Layout layout = Layout(t.rows, channels, p.n[0])
    lay_out(cut, &layout, p.size)
    cut.stride, cut.x_stride = y.row, x.row
    cut.panel = channels if p.n[0] == 1 else 1
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


cdef void norm(Job *job, const Args *p, const Tile *t) noexcept nogil:
    """y, mean, inv_std (OUT) = x with weight and bias (or NULL); x[0]: eps; x[1]: momentum;
    running_mean and running_var (IN, OUT, or NULL); n[1]: how many values fewer than there are var divides by."""
    cdef double n = t.rows * p.n[0]
    cdef Py_ssize_t j = t.lo * p.n[0]
    if Job is Job32:
        job.fm = fm32
        job.y, job.x = <float *>at(p.v[0], t, 0, j, p.size), <float *>at(p.v[3], t, 0, j, p.size)
        job.mean, job.inv_std = <float *>at(p.v[1], t, t.lo, 0, p.size), <float *>at(p.v[2], t, t.lo, 0, p.size)
        job.weight, job.bias = <float *>at(p.v[4], t, t.lo, 0, p.size), <float *>at(p.v[5], t, t.lo, 0, p.size)
        job.g = NULL
    else:
        job.fm = fm64
        job.y, job.x = <double *>at(p.v[0], t, 0, j, p.size), <double *>at(p.v[3], t, 0, j, p.size)
        job.mean, job.inv_std = <double *>at(p.v[1], t, t.lo, 0, p.size), <double *>at(p.v[2], t, t.lo, 0, p.size)
        job.weight, job.bias = <double *>at(p.v[4], t, t.lo, 0, p.size), <double *>at(p.v[5], t, t.lo, 0, p.size)
        job.g = NULL
    job.purpose, job.training, job.eps = WHOLE, True, p.x[0]
    place(job, t.scratch)
    find_origins(job)
    by_panel(job, 0, 1)
    move(p, t, p.v[6], job.sum, 1, job.cut.channels)
    move(p, t, p.v[7], job.m2, n - p.n[1], job.cut.channels)


cdef void move(const Args *p, const Tile *t, const View *running, const double *total, double n,
               size_t channels) noexcept nogil:
    """Move a running statistic (or NULL) towards total / n."""
    if running == NULL:
        return
    if p.size == sizeof(float):
        fm32.norm_running(<float *>at(running, t, t.lo, 0, p.size), total, n, p.x[1], channels)
    else:
        fm64.norm_running(<double *>at(running, t, t.lo, 0, p.size), total, n, p.x[1], channels)


cdef void norm_backward(Job *job, const Args *p, const Tile *t) noexcept nogil:
    """dx, dweight, dbias (OUT) from dy, x, weight (or NULL), mean and inv_std; dx lies as dy does."""
    cdef Py_ssize_t j = t.lo * p.n[0]
    if Job is Job32:
        job.fm = fm32
        job.y, job.g = <float *>at(p.v[0], t, 0, j, p.size), <float *>at(p.v[3], t, 0, j, p.size)
        job.dweight, job.dbias = <float *>at(p.v[1], t, t.lo, 0, p.size), <float *>at(p.v[2], t, t.lo, 0, p.size)
        job.x, job.weight = <float *>at(p.v[4], t, 0, j, p.size), <float *>at(p.v[5], t, t.lo, 0, p.size)
        job.mean, job.inv_std = <float *>at(p.v[6], t, t.lo, 0, p.size), <float *>at(p.v[7], t, t.lo, 0, p.size)
    else:
        job.fm = fm64
        job.y, job.g = <double *>at(p.v[0], t, 0, j, p.size), <double *>at(p.v[3], t, 0, j, p.size)
        job.dweight, job.dbias = <double *>at(p.v[1], t, t.lo, 0, p.size), <double *>at(p.v[2], t, t.lo, 0, p.size)
        job.x, job.weight = <double *>at(p.v[4], t, 0, j, p.size), <double *>at(p.v[5], t, t.lo, 0, p.size)
        job.mean, job.inv_std = <double *>at(p.v[6], t, t.lo, 0, p.size), <double *>at(p.v[7], t, t.lo, 0, p.size)
    job.bias = NULL
    job.purpose, job.training, job.eps = WHOLE, True, 0
    place(job, t.scratch)
    by_panel(job, 0, 1)


cdef void forward_tile(const Args *p, const Tile *t) noexcept nogil:
    cdef Job32 job32
    cdef Job64 job64
    if p.size == sizeof(float):
        prepare(&job32.cut, p, t, p.v[0], p.v[3])
        norm(&job32, p, t)
    else:
        prepare(&job64.cut, p, t, p.v[0], p.v[3])
        norm(&job64, p, t)


cdef void backward_tile(const Args *p, const Tile *t) noexcept nogil:
    cdef Job32 job32
    cdef Job64 job64
    if p.size == sizeof(float):
        prepare(&job32.cut, p, t, p.v[3], p.v[4])
        norm_backward(&job32, p, t)
    else:
        prepare(&job64.cut, p, t, p.v[3], p.v[4])
        norm_backward(&job64, p, t)


batch_norm = kernel(forward_tile, "batch_norm")
batch_norm_backward = kernel(backward_tile, "batch_norm_backward", FM_FLUSH)
